"""Plots whatever the values are: what is drawn lies within the axis, and its ticks can be told apart."""

import random
import re
import sys

import pytest

from deploymetrics.documents.values.series import Point, Series
from deploymetrics.web.figures.small_plots import BOTTOM, HEIGHT, TOP, small_plot

TICK = re.compile(r'<text class="up" x="40" y="([^"]*)">([^<]*)</text>')


def drawn(values):
    """(place, label) of the ticks of a plot, and the places of its values."""
    points = [Point(at, f"2018-01-12T12:00:{at:02}.000000Z", repr(value), value) for at, value in enumerate(values)]
    text = str(small_plot("x", Series("x", points, None)))
    ticks = [(float(y) - 3.5, label) for y, label in TICK.findall(text)]
    return ticks, [float(pair.split(",")[1]) for pair in re.search('<polyline points="([^"]*)"', text)[1].split()]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((512.0,), ["450", "500", "550", "600"]),
        ((188.0,), ["160", "170", "180", "190", "200", "210"]),
        ((20480.0, 20662.0), ["20450", "20500", "20550", "20600", "20650", "20700"]),
        ((0.7, 0.8), ["0.65", "0.70", "0.75", "0.80"]),
        ((123456.0, 1234567.0), ["0", "0.5M", "1.0M", "1.5M"]),
        ((5614.02, 5614.04), ["5614.020", "5614.025", "5614.030", "5614.035", "5614.040"]),
        ((1e5, 2e5), ["100k", "150k", "200k"]),
        ((0.0, 0.0), ["-1.0", "-0.5", "0", "0.5", "1.0"]),
    ],
)
def test_ticks(values, labels):
    ticks, places = drawn(values)
    assert [label for _, label in ticks] == labels


def wild_values(seed):
    """A few values of one size, which may be any that a float has, close together or not."""
    chance = random.Random(seed)
    size, spread = 10.0 ** chance.randint(-320, 308), chance.choice([1, 1e-3, 1e-9])
    first = chance.uniform(-1, 1)
    return [(first + spread * chance.uniform(-0.5, 0.5)) * size for _ in range(chance.choice([1, 2, 5]))]


@pytest.mark.parametrize(
    "values",
    [
        (sys.float_info.max, -sys.float_info.max),
        (sys.float_info.max,),
        (5e-324,),
        (5e-324, 1e-323),
        (1e15, 1e15 + 1),
        *map(wild_values, range(300)),
    ],
)
def test_everything_lies_within_the_axis(values):
    ticks, places = drawn(values)
    assert 2 <= len(ticks) <= 9 and all(len(label) <= 10 for _, label in ticks)
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in [y for y, _ in ticks] + places)


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (["12:00:03.1", "12:00:03.35"], ["12:00:03", "12:00:04"]),
        (["12:00:03.1", "12:00:07"], ["12:00:04", "12:00:05", "12:00:06", "12:00:07"]),
        (["12:00:10", "12:01:10"], ["12:00:15", "12:00:30", "12:00:45", "12:01:00"]),
        (["12:00:10", "12:03:10"], ["12:01", "12:02", "12:03"]),
        (["12:00:00"], ["11:30", "11:45", "12:00", "12:15", "12:30"]),
    ],
)
def test_the_time_is_on_the_axis_however_short_it_is(times, labels):
    points = [Point(1, f"2018-01-12T{time}Z", "1", 1.0) for time in times]
    assert re.findall('<text class="across"[^>]*>([^<]*)<', str(small_plot("x", Series("x", points, None)))) == labels
