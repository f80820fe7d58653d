"""The axes of plots: scales of values and times, and their ticks with labels."""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from ...clock import MONTHS
from ...documents.values.numbers import LARGEST

_STEPS = [
    *(timedelta(seconds=seconds) for seconds in (1, 5, 15, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14)),
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH = timedelta(days=30.4)
_MONTHS = (1, 3, 6, 12, 60)
# From which size on, the divisor, and the letter; five digits are read as they are.
_UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k"))
_NO_UNIT: tuple[float, str] = 1, ""
MAX_LABEL = 9

#: Its position on the axis, and its label.
Tick = tuple[float, str]


class Scale(NamedTuple):
    """A linear scale from values (``low`` to ``high``) to positions on an axis (``start`` to ``end``)."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the position of a value on the axis, in units of the drawing."""
        span = self.high / 2 - self.low / 2  # of halves: no difference of two floats overflows
        part = (value / 2 - self.low / 2) / span if span else 0.5
        return round(self.start + part * (self.end - self.start), 1)


def _tick_labels(ticks: list[float]) -> list[str]:
    """Return the labels of ticks, with one unit, and as many decimals as tell them apart: ``12.5``, ``1.5M``."""
    largest, step = max(abs(tick) for tick in ticks), ticks[1] - ticks[0]
    unit = next(((divisor, letter) for least, divisor, letter in _UNITS if largest >= least), _NO_UNIT)
    for divisor, letter in (unit, _NO_UNIT):
        decimals = max(-math.floor(math.log10(step / divisor) + 1e-9), 0) if 0 < step < math.inf else MAX_LABEL
        if largest < 1e15 and decimals < MAX_LABEL:
            labels = [f"{tick / divisor:.{decimals}f}{letter}" if tick else "0" for tick in ticks]
            if max(map(len, labels)) <= MAX_LABEL:
                return labels
    return [f"{tick:.3g}" for tick in ticks]


def value_scale(values: list[float], bottom: float, top: float) -> tuple[Scale, list[Tick]]:
    """Return the Scale and the Ticks of a vertical axis for some values, from ``bottom`` up to ``top``."""
    low, high = min(values), max(values)
    if low == high:
        margin = max(abs(low) / 10, 1) if abs(low) >= 1 else abs(low) or 1
        low, high = max(low - margin, -LARGEST), min(high + margin, LARGEST)
    elif 0 < low < (high - low):
        low = 0
    ticks = _value_ticks(low, high)
    up = Scale(min(low, ticks[0]), max(high, ticks[-1]), bottom, top)
    return up, [(up.at(tick), label) for tick, label in zip(ticks, _tick_labels(ticks))]


def _value_ticks(low: float, high: float) -> list[float]:
    """Return the values of ticks: three to six round numbers from at most ``low`` to at least ``high``."""
    rough = high / 4 - low / 4
    power = 10.0 ** math.floor(math.log10(rough)) if 1e-300 < rough < 1e300 else 0
    if not power:
        return [low, high]
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough * 0.999)
    first = math.floor(low / step)
    last = math.ceil(high / step)
    return [index * step for index in range(first, last + 1)] if last - first <= 8 else [low, high]


def time_scale(first: float, last: float, left: float, right: float) -> Scale:
    """Return the Scale of a horizontal axis from one moment to another, in seconds since 1970."""
    if first == last:
        first, last = first - 1800, last + 1800
    if last - first < 2:  # so that a tick is among them
        first, last = first - 1, last + 1
    return Scale(first, last, left, right)


def time_ticks(across: Scale, most: int = 4, zone: tzinfo = UTC) -> list[Tick]:
    """Return the Ticks of a scale of times, about ``most`` of them."""
    span = timedelta(seconds=across.high - across.low)
    step = next((step for step in _STEPS if span / step <= most), None)
    if step is None:
        months = next((months for months in _MONTHS if span / (months * _MONTH) <= most), _MONTHS[-1])
        return _month_ticks(across, months, zone)
    offset = datetime.fromtimestamp(across.low, zone).utcoffset() or timedelta()
    tick = _EPOCH + math.ceil((across.low + offset.total_seconds()) / step.total_seconds()) * step - offset
    ticks = []
    while (seconds := tick.timestamp()) <= across.high:
        at = tick.astimezone(zone)
        if step < timedelta(minutes=1):
            label = f"{at:%H:%M:%S}"
        elif step < timedelta(days=1) and (at.hour or at.minute):
            label = f"{at:%H:%M}"
        else:
            label = f"{at.day} {MONTHS[at.month - 1]}"
        ticks.append((across.at(seconds), label))
        tick += step
    return ticks


def _month_ticks(across: Scale, months: int, zone: tzinfo) -> list[Tick]:
    first = datetime.fromtimestamp(across.low, zone)
    number = (first.year * 12 + first.month - 1) // months * months  # January is at a multiple of each of them
    ticks = []
    while number // 12 < 9999:
        tick = datetime(number // 12, number % 12 + 1, 1, tzinfo=zone)
        if tick.timestamp() > across.high:
            break
        if tick.timestamp() >= across.low:
            ticks.append((across.at(tick.timestamp()), f"{MONTHS[tick.month - 1]} {tick.year}"))
        number += months
    return ticks
