"""Small plots and sparklines as SVG within the page, with values under the pointer."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from itertools import pairwise

from markupsafe import Markup

from ...clock import as_last_changed, from_precise, timestamp_of
from ...documents.values.numbers import shorten_number
from ...documents.values.series import Point, Series
from ...formats.escaping import counted
from .axes import Scale, time_scale, time_ticks
from .curves import lay_out_curve
from .drawing import draw

WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 24
MAX_POINTS = 72
SPARK_WIDTH, SPARK_HEIGHT = 88, 24


def sparkline(values: Sequence[float], title: str) -> Markup:
    """Return the SVG of a sparkline, with its last value marked."""
    low, high = min(values), max(values)
    across = Scale(0, max(len(values) - 1, 1), 2, SPARK_WIDTH - 4)
    up = Scale(low, high, SPARK_HEIGHT - 4, 4)
    positions = [(across.at(index), up.at(value)) for index, value in enumerate(values)]
    last = positions[-1] if len(positions) > 1 else (SPARK_WIDTH / 2, SPARK_HEIGHT / 2)
    return draw("sparkline", title=title, width=SPARK_WIDTH, height=SPARK_HEIGHT, positions=positions, last=last)


def small_plot(name: str, series: Series, zone: tzinfo = UTC) -> Markup:
    """Return the SVG of a small plot of a Series over time, with at most MAX_POINTS points (see ``thin``)."""
    moments = [timestamp_of(point.changed_at) for point in series.points]
    across = time_scale(min(moments), max(moments), LEFT + 2, WIDTH - RIGHT)  # a clock may have been set back
    curve = lay_out_curve(series, MAX_POINTS, across, HEIGHT - BOTTOM, TOP)
    edges = [LEFT, *((x + other) / 2 for (x, _), (other, _) in pairwise(curve.positions)), WIDTH]
    times = [as_last_changed(from_precise(point.changed_at).astimezone(zone)) for point in curve.points]
    return draw(
        "small_plot",
        title=summary(name, series.points),
        size=(WIDTH, HEIGHT),
        sides=(LEFT, WIDTH - RIGHT),
        bottom=HEIGHT - BOTTOM,
        times=time_ticks(across, zone=zone),
        curve=curve,
        points=[
            (*position, left, max(right - left, 0.1), f"{shorten_number(point.text)} · {time}")
            for position, (left, right), point, time in zip(curve.positions, pairwise(edges), curve.points, times)
        ],
    )


def summary(name: str, points: list[Point]) -> str:
    """Return a plot in words, for people who do not see it."""
    low = min(points, key=lambda point: point.value)
    high = max(points, key=lambda point: point.value)
    count, texts = counted(len(points), "value", ","), [shorten_number(point.text) for point in (low, high, points[-1])]
    return "{}: {}, lowest {}, highest {}, last {}".format(name, count, *texts)
