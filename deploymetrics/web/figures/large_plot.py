"""One large plot of several series, as SVG that a page holds: in two widths; the stylesheet shows one of them.

No script is needed: a column shows its values under the pointer, and for the keyboard it holds a radio button, so that
the arrow keys go from column to column.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from markupsafe import Markup, escape

from ...clock import as_last_changed, from_precise
from ...documents.values.series import Point, Series
from .axes import Scale, tick_labels, time_scale, time_ticks, value_scale
from .points import Position, segments, thin


class Form(NamedTuple):
    """A size of the plot: its CSS class, width, height, columns that show values, points of a line, ticks of time."""

    name: str
    width: int
    height: int
    columns: int
    points: int
    ticks: int


FORMS = (Form("wide", 1120, 400, 160, 640, 9), Form("narrow", 380, 300, 50, 240, 4))
TOP, BOTTOM, SIDE = 44, 26, 4
#: Where the largest of one series is so many times that of another, they get a scale each.
FAR = 8

FormatPoint = Callable[[int, Point], str]


class _Curve(NamedTuple):
    """A series as it is drawn: its thinned points, their positions, and its vertical scale with ticks."""

    series: Series
    points: list[Point]
    positions: list[Position]
    up: Scale
    ticks: list[float]


def large_plot(
    title: str,
    series: Sequence[Series],
    start: datetime,
    end: datetime,
    format_point: FormatPoint,
    *,
    own_scales: bool = False,
    zone: tzinfo = UTC,
) -> Markup:
    """Return the SVG of a plot of several series between two moments; ``format_point`` formats a point of a series.

    With ``own_scales`` each is as high as the plot, and the first two have their axes at the sides.
    """
    common_values = None if own_scales else [point.value for line in series for point in line.points]
    svg: list[str] = []
    for form in FORMS:
        across = time_scale(start.timestamp(), end.timestamp(), SIDE, form.width - SIDE)
        curves = [_lay_out_curve(form, line, across, common_values) for line in series]
        svg += [
            f'<svg class="chart {form.name}" viewBox="0 0 {form.width} {form.height}" role="group"'
            f' aria-label="{escape(title)}">',
            *_time_axis(form, across, zone),
            *(_lines(number, curve) for number, curve in enumerate(curves)),
            *_value_axes(form, curves, own_scales),
            *_columns(form, curves, format_point, zone),
            "</svg>",
        ]
    return Markup("".join(svg))


def are_far_apart(series: Sequence[Series]) -> bool:
    """Return True if one of the series would look flat on a common scale."""
    sizes = [max(abs(point.value) for point in line.points) for line in series if line.points]
    return any(sizes) and max(sizes) > FAR * min(sizes)


def _lay_out_curve(form: Form, series: Series, across: Scale, common_values: list[float] | None) -> _Curve:
    points = thin(series, form.points)
    values = common_values or [point.value for point in points] or [0.0]
    up, ticks = value_scale(values, form.height - BOTTOM, TOP)
    positions = [(across.at(from_precise(point.changed_at).timestamp()), up.at(point.value)) for point in points]
    return _Curve(series, points, positions, up, ticks)


def _lines(number: int, curve: _Curve) -> str:
    """Return the SVG lines of a series, which break off at its gaps; a single point is a dot."""
    svg = []
    for line in segments(curve.series, curve.points, curve.positions):
        if len(line) == 1:
            svg.append(f'<circle class="s{number}" cx="{line[0][0]:g}" cy="{line[0][1]:g}" r="2.5"/>')
        else:
            svg.append(f'<polyline class="s{number}" points="{" ".join(f"{x:g},{y:g}" for x, y in line)}"/>')
    return "".join(svg)


def _value_axes(form: Form, curves: Sequence[_Curve], own_scales: bool) -> Iterator[str]:
    """Yield the SVG of the grid and its labels: for one scale, or the first two if each series has its own."""
    for number, curve in enumerate(curves[: 2 if own_scales else 1]):
        for tick, label in zip(curve.ticks, tick_labels(curve.ticks)):
            y = curve.up.at(tick)
            if not number:
                yield f'<path class="grid" d="M{SIDE} {y:g}H{form.width - SIDE}"/>'
            x, side = (form.width - SIDE, " end") if number else (SIDE, "")
            colour = f" s{number}" if own_scales else ""
            yield f'<text class="up{side}{colour}" x="{x}" y="{y - 4:g}">{label}</text>'


def _time_axis(form: Form, across: Scale, zone: tzinfo) -> Iterator[str]:
    bottom = form.height - BOTTOM
    yield f'<path class="axis" d="M{SIDE} {bottom}H{form.width - SIDE}"/>'
    for seconds, label in time_ticks(across, form.ticks, zone):
        x = across.at(seconds)
        yield f'<path class="axis" d="M{x:g} {bottom}v5"/>'
        yield f'<text class="across" x="{min(max(x, 24), form.width - 30):g}" y="{form.height - 6}">{label}</text>'


def _columns(form: Form, curves: Sequence[_Curve], format_point: FormatPoint, zone: tzinfo) -> Iterator[str]:
    """Yield the SVG of the columns that show their values under the pointer."""
    width = form.width / form.columns
    in_column: dict[int, dict[int, int]] = {}
    for number, curve in enumerate(curves):
        middle = (curve.up.start + curve.up.end) / 2
        for index, (x, y) in enumerate(curve.positions):
            chosen = in_column.setdefault(int(x / width), {})
            # Of several in a column the one that stands out shows its value.
            if number not in chosen or abs(y - middle) > abs(curve.positions[chosen[number]][1] - middle):
                chosen[number] = index
    columns = sorted(in_column)
    edges = [0, *((column + other + 1) / 2 * width for column, other in zip(columns, columns[1:])), form.width]
    for column, left, right in zip(columns, edges, edges[1:]):
        values = [
            (at, curves[at].points[index], *curves[at].positions[index]) for at, index in in_column[column].items()
        ]
        name, (_, first, x, _) = f"{form.name}-{column}", values[0]
        time = as_last_changed(from_precise(first.changed_at).astimezone(zone))
        texts = (
            f' <tspan class="s{number}">● {escape(format_point(number, point))}</tspan>' for number, point, *_ in values
        )
        dots = (f'<circle class="s{number}" cx="{at:g}" cy="{y:g}" r="4"/>' for number, _, at, y in values)
        side = ("", SIDE) if x < form.width / 2 else (" end", form.width - SIDE)
        yield (
            f'<g class="at"><rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{form.height}"/>'
            f'<path class="line" d="M{x:g} {TOP}V{form.height - BOTTOM}"/>{"".join(dots)}'
            f'<text class="tip{side[0]}" id="{name}" x="{side[1]}" y="14">{time}{"".join(texts)}</text>'
            f'<foreignObject x="{max(x - 12, 0):g}" y="{form.height - BOTTOM:g}" width="24" height="24">'
            f'<input type="radio" name="{form.name}" aria-labelledby="{name}"></foreignObject></g>'
        )
