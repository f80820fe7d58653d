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
from .axes import time_scale, time_ticks
from .curves import Curve, lay_out_curve
from .drawing import draw


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
        bottom = form.height - BOTTOM
        curves = [lay_out_curve(line, form.points, across, bottom, TOP, common_values) for line in series]
        svg += draw(
            "large_plot",
            title=title,
            form=form,
            sides=(SIDE, form.width - SIDE),
            top=TOP,
            bottom=bottom,
            times=time_ticks(across, form.ticks, zone),
            curves=curves,
            scales=curves[: 2 if own_scales else 1],
            own_scales=own_scales,
            columns=_columns(form, curves, format_point, zone),
        )
    return svg


def are_far_apart(series: Sequence[Series]) -> bool:
    """Return True if one of the series would look flat on a common scale."""
    sizes = [max(abs(point.value) for point in line.points) for line in series if line.points]
    return any(sizes) and max(sizes) > FAR * min(sizes)


def _columns(
    form: Form, curves: Sequence[Curve], format_point: FormatPoint, zone: tzinfo
) -> Iterator[tuple[int, float, float, str, list[tuple[int, float, float, str]]]]:
    """Yield (number, left, right, time, values) of the columns; a value is (curve, x, y, text)."""
    width = form.width / form.columns
    in_column: dict[int, dict[int, tuple[float, float, Point]]] = {}
    for number, curve in enumerate(curves):
        middle = (curve.up.start + curve.up.end) / 2
        for (x, y), point in zip(curve.positions, curve.points):
            chosen = in_column.setdefault(int(x / width), {})
            # Of several in a column the one that stands out shows its value.
            if number not in chosen or abs(y - middle) > abs(chosen[number][1] - middle):
                chosen[number] = x, y, point
    columns = sorted(in_column)
    edges = [0, *((column + other + 1) / 2 * width for column, other in pairwise(columns)), form.width]
    for column, (left, right) in zip(columns, pairwise(edges)):
        _, _, first = next(iter(in_column[column].values()))
        values = [(number, x, y, format_point(number, point)) for number, (x, y, point) in in_column[column].items()]
        yield column, left, right, as_last_changed(from_precise(first.changed_at).astimezone(zone)), values
