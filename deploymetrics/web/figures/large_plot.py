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

Shown = Callable[[int, Point], str]


class _Drawn(NamedTuple):
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
    format_point: Shown,
    *,
    own_scales: bool = False,
    zone: tzinfo = UTC,
) -> Markup:
    """Return the SVG of a plot of several series between two moments; ``format_point`` formats a point of a series.

    With ``own_scales`` each is as high as the plot, and the first two have their axes at the sides.
    """
    every = None if own_scales else [point.value for line in series for point in line.points]
    parts: list[str] = []
    for form in FORMS:
        across = time_scale(start.timestamp(), end.timestamp(), SIDE, form.width - SIDE)
        drawn = [_draw(form, line, across, every) for line in series]
        parts += [
            f'<svg class="chart {form.name}" viewBox="0 0 {form.width} {form.height}" role="group"'
            f' aria-label="{escape(title)}">',
            *_time_axis(form, across, zone),
            *(_lines(number, line) for number, line in enumerate(drawn)),
            *_value_axes(form, drawn, own_scales),
            *_columns(form, drawn, format_point, zone),
            "</svg>",
        ]
    return Markup("".join(parts))


def are_far_apart(series: Sequence[Series]) -> bool:
    """Return True if one of the series would look flat on a common scale."""
    sizes = [max(abs(point.value) for point in line.points) for line in series if line.points]
    return any(sizes) and max(sizes) > FAR * min(sizes)


def _draw(form: Form, series: Series, across: Scale, every: list[float] | None) -> _Drawn:
    points = thin(series, form.points)
    values = every or [point.value for point in points] or [0.0]
    up, ticks = value_scale(values, form.height - BOTTOM, TOP)
    positions = [(across.at(from_precise(point.changed_at).timestamp()), up.at(point.value)) for point in points]
    return _Drawn(series, points, positions, up, ticks)


def _lines(number: int, drawn: _Drawn) -> str:
    """Return the SVG lines of a series, which break off at its gaps; a single point is a dot."""
    parts = []
    for line in segments(drawn.series, drawn.points, drawn.positions):
        if len(line) == 1:
            parts.append(f'<circle class="s{number}" cx="{line[0][0]:g}" cy="{line[0][1]:g}" r="2.5"/>')
        else:
            parts.append(f'<polyline class="s{number}" points="{" ".join(f"{x:g},{y:g}" for x, y in line)}"/>')
    return "".join(parts)


def _value_axes(form: Form, drawn: Sequence[_Drawn], own_scales: bool) -> Iterator[str]:
    """Yield the SVG of the grid and its labels: for one scale, or the first two if each series has its own."""
    for number, line in enumerate(drawn[: 2 if own_scales else 1]):
        for tick, label in zip(line.ticks, tick_labels(line.ticks)):
            y = line.up.at(tick)
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


def _columns(form: Form, drawn: Sequence[_Drawn], shown: Shown, zone: tzinfo) -> Iterator[str]:
    """Yield the SVG of the columns that show their values under the pointer."""
    width = form.width / form.columns
    in_column: dict[int, dict[int, int]] = {}
    for number, one in enumerate(drawn):
        middle = (one.up.start + one.up.end) / 2
        for index, (x, y) in enumerate(one.positions):
            chosen = in_column.setdefault(int(x / width), {})
            # Of several in a column the one that stands out shows its value.
            if number not in chosen or abs(y - middle) > abs(one.positions[chosen[number]][1] - middle):
                chosen[number] = index
    columns = sorted(in_column)
    edges = [0, *((one + other + 1) / 2 * width for one, other in zip(columns, columns[1:])), form.width]
    for column, left, right in zip(columns, edges, edges[1:]):
        values = [(at, drawn[at].points[index], *drawn[at].positions[index]) for at, index in in_column[column].items()]
        name, (_, first, x, _) = f"{form.name}-{column}", values[0]
        when = as_last_changed(from_precise(first.changed_at).astimezone(zone))
        texts = (f' <tspan class="s{number}">● {escape(shown(number, point))}</tspan>' for number, point, *_ in values)
        dots = (f'<circle class="s{number}" cx="{at:g}" cy="{y:g}" r="4"/>' for number, _, at, y in values)
        side = ("", SIDE) if x < form.width / 2 else (" end", form.width - SIDE)
        yield (
            f'<g class="at"><rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{form.height}"/>'
            f'<path class="line" d="M{x:g} {TOP}V{form.height - BOTTOM}"/>{"".join(dots)}'
            f'<text class="tip{side[0]}" id="{name}" x="{side[1]}" y="14">{when}{"".join(texts)}</text>'
            f'<foreignObject x="{max(x - 12, 0):g}" y="{form.height - BOTTOM:g}" width="24" height="24">'
            f'<input type="radio" name="{form.name}" aria-labelledby="{name}"></foreignObject></g>'
        )
