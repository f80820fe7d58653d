"""One large plot of several series, as SVG that a page holds: in two widths; the stylesheet shows one of them.

No script is needed: a column shows its values under the pointer, and for the keyboard it holds a radio button, so that
the arrow keys go from column to column.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from ...clock import as_last_changed, from_precise
from ...documents.values.series import Point, Series
from .axes import Scale, tick_labels, time_scale, time_ticks, value_scale
from .drawing import draw
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
    svg = Markup()
    for form in FORMS:
        across = time_scale(start.timestamp(), end.timestamp(), SIDE, form.width - SIDE)
        curves = [_lay_out_curve(form, line, across, common_values) for line in series]
        svg += draw(
            "large_plot",
            title=title,
            form=form,
            sides=(SIDE, form.width - SIDE),
            top=TOP,
            bottom=form.height - BOTTOM,
            times=[(across.at(seconds), label) for seconds, label in time_ticks(across, form.ticks, zone)],
            lines=[segments(curve.series, curve.points, curve.positions) for curve in curves],
            scales=[_tick_places(curve) for curve in curves[: 2 if own_scales else 1]],
            own_scales=own_scales,
            columns=_columns(form, curves, format_point, zone),
        )
    return svg


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


def _tick_places(curve: _Curve) -> list[tuple[float, str]]:
    """Return (position, label) of the ticks of a curve's scale."""
    return [(curve.up.at(tick), label) for tick, label in zip(curve.ticks, tick_labels(curve.ticks))]


def _columns(
    form: Form, curves: Sequence[_Curve], format_point: FormatPoint, zone: tzinfo
) -> Iterator[tuple[int, float, float, str, list[tuple[int, float, float, str]]]]:
    """Yield (number, left, right, time, values) of the columns; a value is (curve, x, y, text)."""
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
    edges = [0, *((column + other + 1) / 2 * width for column, other in pairwise(columns)), form.width]
    for column, (left, right) in zip(columns, pairwise(edges)):
        points = {number: curves[number].points[index] for number, index in in_column[column].items()}
        first = next(iter(points.values()))
        values = [
            (number, *curves[number].positions[in_column[column][number]], format_point(number, point))
            for number, point in points.items()
        ]
        yield column, left, right, as_last_changed(from_precise(first.changed_at).astimezone(zone)), values
