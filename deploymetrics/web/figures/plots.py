"""Plots as SVG that a page holds: no script, no style of their own, values under the pointer. No Flask in here.

The page's stylesheet gives the colours, so a plot follows light and dark. What a plot holds is escaped here.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from ...clock import MONTHS, as_last_changed, from_precise
from ...documents.values.numbers import rounded

if TYPE_CHECKING:
    from ...documents.values.series import Point

WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 24
MAX_POINTS = 72
SPARK_WIDTH, SPARK_HEIGHT = 88, 24
_STEPS = [
    timedelta(seconds=seconds)
    for seconds in (
        1,
        5,
        15,
        30,
        60,
        300,
        900,
        1800,
        3600,
        3 * 3600,
        6 * 3600,
        12 * 3600,
        86400,
        2 * 86400,
        7 * 86400,
        14 * 86400,
        30 * 86400,
        91 * 86400,
        182 * 86400,
        365 * 86400,
        5 * 365 * 86400,
    )
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From which size on, the divisor, and the letter; five digits are read as they are.
_UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k"))
_NO_UNIT: tuple[float, str] = 1, ""
MAX_LABEL = 9
_LARGEST = sys.float_info.max


class _Scale(NamedTuple):
    """From values to places on one axis; halves of values, so that no difference of two floats overflows."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        span = self.high / 2 - self.low / 2
        part = (value / 2 - self.low / 2) / span if span else 0.5
        return round(self.start + part * (self.end - self.start), 1)


def sparkline(values: Sequence[float], title: str) -> Markup:
    """Return a small plot of values, the last one marked; the title says what it shows."""
    low, high = min(values), max(values)
    across = _Scale(0, max(len(values) - 1, 1), 2, SPARK_WIDTH - 4)
    up = _Scale(low, high, SPARK_HEIGHT - 4, 4)
    places = [(across.at(index), up.at(value)) for index, value in enumerate(values)]
    line = " ".join(f"{x:g},{y:g}" for x, y in places)
    x, y = places[-1] if len(places) > 1 else (SPARK_WIDTH / 2, SPARK_HEIGHT / 2)
    title = escape(title)
    return Markup(
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" aria-label="{title}"><title>{title}'
        f'</title><polyline points="{line}"/><circle cx="{x:g}" cy="{y:g}" r="2"/></svg>'
    )


def plot(name: str, points: "list[Point]") -> Markup:
    """Return a plot of Points over time; at most MAX_POINTS of them are drawn (see ``thin``)."""
    drawn = thin(points)
    times = [from_precise(point.changed_at) for point in drawn]
    across = _time_scale(times)
    up, ticks = _value_scale([point.value for point in drawn])
    places = [(across.at(time.timestamp()), up.at(point.value)) for time, point in zip(times, drawn)]
    line = " ".join(f"{x:g},{y:g}" for x, y in places)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary(name, points))}">',
        *_value_axis(up, ticks),
        *_time_axis(across),
        _area(up, places, line),
        f'<polyline points="{line}"/>',
        *_hover(places, drawn, times),
        "</svg>",
    ]
    return Markup("".join(parts))


def thin(points: "list[Point]") -> "list[Point]":
    """Return the points, or of too many the lowest and highest of each stretch; the first and last always stay."""
    if len(points) <= MAX_POINTS:
        return points
    inner = points[1:-1]
    stretches = (MAX_POINTS - 2) // 2
    kept: set[int] = set()
    for number in range(stretches):
        part = range(number * len(inner) // stretches, (number + 1) * len(inner) // stretches)
        if part:
            kept.add(min(part, key=lambda index: inner[index].value))
            kept.add(max(part, key=lambda index: inner[index].value))
    return [points[0], *(inner[index] for index in sorted(kept)), points[-1]]


def summary(name: str, points: "list[Point]") -> str:
    """Return the plot in one sentence, for those who do not see it."""
    low = min(points, key=lambda point: point.value)
    high = max(points, key=lambda point: point.value)
    count = f"{len(points):,} values" if len(points) > 1 else "one value"
    return f"{name}: {count}, lowest {rounded(low.text)}, highest {rounded(high.text)}, last {rounded(points[-1].text)}"


def tick_labels(ticks: list[float]) -> list[str]:
    """Return the texts at the ticks of an axis, with decimals that tell them apart and one unit: ``12.5``, ``1.5M``."""
    largest, step = max(abs(tick) for tick in ticks), ticks[1] - ticks[0]
    unit = next(((divisor, letter) for least, divisor, letter in _UNITS if largest >= least), _NO_UNIT)
    for divisor, letter in (unit, _NO_UNIT):
        decimals = max(-math.floor(math.log10(step / divisor) + 1e-9), 0) if 0 < step < math.inf else MAX_LABEL
        if largest < 1e15 and decimals < MAX_LABEL:
            labels = [f"{tick / divisor:.{decimals}f}{letter}" if tick else "0" for tick in ticks]
            if max(map(len, labels)) <= MAX_LABEL:
                return labels
    return [f"{tick:.3g}" for tick in ticks]


def _value_scale(values: list[float]) -> tuple[_Scale, list[float]]:
    """Return the _Scale of the axis for these values, and its ticks."""
    low, high = min(values), max(values)
    if low == high:
        margin = max(abs(low) / 10, 1) if abs(low) >= 1 else abs(low) or 1
        low, high = max(low - margin, -_LARGEST), min(high + margin, _LARGEST)
    elif 0 < low < (high - low):
        low = 0
    ticks = _value_ticks(low, high)
    return _Scale(min(low, ticks[0]), max(high, ticks[-1]), HEIGHT - BOTTOM, TOP), ticks


def _value_ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers from at most ``low`` to at least ``high``."""
    rough = high / 4 - low / 4
    power = 10.0 ** math.floor(math.log10(rough)) if 1e-300 < rough < 1e300 else 0
    if not power:
        return [low, high]
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough * 0.999)
    first = math.floor(low / step)
    last = math.ceil(high / step)
    return [index * step for index in range(first, last + 1)] if last - first <= 8 else [low, high]


def _value_axis(up: _Scale, ticks: list[float]) -> Iterator[str]:
    for tick, label in zip(ticks, tick_labels(ticks)):
        y = up.at(tick)
        yield f'<path class="grid" d="M{LEFT} {y:g}H{WIDTH - RIGHT}"/>'
        yield f'<text class="up" x="{LEFT - 6}" y="{y + 3.5:g}">{label}</text>'


def _area(up: _Scale, places: list[tuple[float, float]], line: str) -> str:
    """Return what is below the line, where its height means something: from zero on."""
    if up.low:
        return ""
    return f'<polygon class="area" points="{places[0][0]:g},{up.start:g} {line} {places[-1][0]:g},{up.start:g}"/>'


def _time_scale(times: list[datetime]) -> _Scale:
    first, last = min(times).timestamp(), max(times).timestamp()  # a clock may have been set back
    if first == last:
        first, last = first - 1800, last + 1800
    if last - first < 2:  # so that a tick is among them
        first, last = first - 1, last + 1
    return _Scale(first, last, LEFT + 2, WIDTH - RIGHT)


def _time_axis(across: _Scale) -> Iterator[str]:
    span = timedelta(seconds=across.high - across.low)
    step = next((step for step in _STEPS if span / step <= 4), _STEPS[-1])
    tick = _EPOCH + math.ceil(across.low / step.total_seconds()) * step
    yield f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    while (seconds := tick.timestamp()) <= across.high:
        x = across.at(seconds)
        yield f'<path class="axis" d="M{x:g} {HEIGHT - BOTTOM}v4"/>'
        yield f'<text class="across" x="{min(x, WIDTH - 24):g}" y="{HEIGHT - 7}">{_time_label(tick, step)}</text>'
        tick += step


def _time_label(moment: datetime, step: timedelta) -> str:
    if step < timedelta(minutes=1):
        return f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    if step < timedelta(days=1) and (moment.hour or moment.minute):
        return f"{moment.hour:02d}:{moment.minute:02d}"
    if step < timedelta(days=90):
        return f"{moment.day} {MONTHS[moment.month - 1]}"
    return f"{MONTHS[moment.month - 1]} {moment.year}"


def _hover(places: list[tuple[float, float]], points: "list[Point]", times: list[datetime]) -> Iterator[str]:
    """Yield for each point the stretch of the plot that is nearest to it, and what shows while the pointer is there."""
    dots = "dots" if len(points) <= 24 else "line"
    for index, ((x, y), point, time) in enumerate(zip(places, points, times)):
        left = (places[index - 1][0] + x) / 2 if index else LEFT
        right = (places[index + 1][0] + x) / 2 if index + 1 < len(places) else WIDTH
        text = escape(f"{rounded(point.text)} · {as_last_changed(time)}")
        yield (
            f'<g class="{dots}">'
            f'<rect x="{left:.1f}" y="0" width="{max(right - left, 0.1):.1f}" height="{HEIGHT - BOTTOM}"/>'
            f'<circle cx="{x:g}" cy="{y:g}" r="3"/><text class="tip" x="{WIDTH - RIGHT}" y="14">{text}</text>'
            f"<title>{text}</title></g>"
        )
