"""The curve of a series in a plot: which of its points are drawn, where, and where its line has gaps."""

from bisect import bisect_right
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ...clock import timestamp_of
from ...documents.values.series import Point, Series
from .axes import Scale, Tick, value_scale

#: How many times as long as those around it an interval is where the line breaks off.
GAP = 4
_AROUND = 3

Position = tuple[float, float]


class Curve(NamedTuple):
    """A series as it is drawn: its thinned points, their positions, its lines, and its vertical scale with Ticks."""

    points: list[Point]
    positions: list[Position]
    lines: list[list[Position]]
    up: Scale
    ticks: list[Tick]


def lay_out_curve(
    series: Series, most: int, across: Scale, bottom: float, top: float, values: list[float] | None = None
) -> Curve:
    """Return the Curve of a series with at most so many points; ``values`` are those of its scale, if not its own."""
    points = thin(series, most)
    up, ticks = value_scale(values or [point.value for point in points] or [0.0], bottom, top)
    positions = [(across.at(timestamp_of(point.changed_at)), up.at(point.value)) for point in points]
    return Curve(points, positions, _split_at_gaps(series, points, positions), up, ticks)


def thin(series: Series, most: int) -> list[Point]:
    """Thin out the points of a series to ``most``: first, last, and the lowest and highest of each stretch of time."""
    points = series.points
    if len(points) <= most:
        return points
    times = [timestamp_of(point.changed_at) for point in points]
    stretches = (most - 2) // 2
    start, length = min(times), (max(times) - min(times)) / stretches or 1
    in_stretch: dict[int, list[int]] = {}
    for index, time in enumerate(times):
        in_stretch.setdefault(min(int((time - start) / length), stretches - 1), []).append(index)
    chosen = {0, len(points) - 1}
    for indices in in_stretch.values():
        chosen |= {which(indices, key=lambda index: points[index].value) for which in (min, max)}
    return [points[index] for index in sorted(chosen)]


def _split_at_gaps(series: Series, points: Sequence[Point], positions: Sequence[Position]) -> list[list[Position]]:
    """Split the positions of the drawn points into lines at the gaps of their series."""
    breaks = [series.points[index].version for index in gaps(series)]
    lines: list[list[Position]] = []
    last = -1
    for point, place in zip(points, positions):
        number = bisect_right(breaks, point.version)
        if number != last:
            lines.append([])
            last = number
        lines[-1].append(place)
    return lines


def gaps(series: Series) -> list[int]:
    """Return the indices of points in a series before which there is a gap.

    That is where a version between them lacks the number, and where nothing came for far longer than before and after.
    """
    times = [timestamp_of(point.changed_at) for point in series.points]
    lengths = [after - before for before, after in zip(times, times[1:])]
    indices = set(series.breaks)
    for index in range(1, len(lengths) - 1):
        if lengths[index] <= GAP * min(lengths[index - 1], lengths[index + 1]):
            continue
        around = lengths[max(index - _AROUND, 0) : index], lengths[index + 1 : index + 1 + _AROUND]
        if lengths[index] > GAP * max(map(median, around)):
            indices.add(index + 1)
    return sorted(indices)
