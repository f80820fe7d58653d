"""The numbers in documents over the history, as series: the values that one measure had."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ...storage import Item
from .extraction import Extractor, floats_of, text_of
from .measures import FUNCTIONS, Measure
from .numbers import as_float, is_number


class Point(NamedTuple):
    """One value of a series, and the version that has it.

    ``changed_at`` is the time as the storage writes it, ``text`` the digits that were sent, ``value`` what is drawn.
    """

    version: int
    changed_at: str
    text: str
    value: float


class Series(NamedTuple):
    """The values of one thing, the oldest first.

    ``gone`` is the first version without it where the newest has none. ``breaks`` are the indices of points before
    which there is a version without it, or a deletion.
    """

    name: str
    points: list[Point]
    gone: int | None
    breaks: frozenset[int] = frozenset()


def over_time(items: Iterable[Item], wanted: Sequence[Measure], *, repeated: bool = False) -> list[Series]:
    """Return the Series of some Measures in versions that are in their order, deletions among them."""
    places = {steps: place for place, steps in enumerate(dict.fromkeys(measure.steps for measure in wanted))}
    extractor = Extractor(list(places), repeated=repeated)
    tracks = [_Track(measure, places[measure.steps]) for measure in wanted]
    for item in items:
        found = [[]] * len(places) if item.deleted else extractor.extract(bytes(item.record.metrics))
        floats: dict[int, list[float]] = {}
        for track in tracks:
            track.add(item, found[track.place], floats)
    return [Series(track.measure.name, track.points, track.gone, frozenset(track.breaks)) for track in tracks]


class _Track:
    """A Series that is being made; ``place`` is the index of the place that it reads."""

    def __init__(self, measure: Measure, place: int) -> None:
        self.measure = measure
        self.place = place
        self.points: list[Point] = []
        self.breaks: list[int] = []
        self.gone: int | None = None

    def add(self, item: Item, found: list[Any], floats: dict[int, list[float]]) -> None:
        """Take what one version has at the place; ``floats`` are those of places that were looked at for it before."""
        text = self._number(found, floats) if found else None
        if text is None:
            self.gone = self.gone or item.version
            return
        if self.gone and self.points:
            self.breaks.append(len(self.points))
        self.gone = None
        self.points.append(Point(item.version, item.changed_at, text, as_float(text)))

    def _number(self, found: list[Any], floats: dict[int, list[float]]) -> str | None:
        if not self.measure.function:
            text = text_of(found[0])
            return text if is_number(text) else None
        if self.place not in floats:
            floats[self.place] = floats_of(found)
        values = floats[self.place]
        return f"{FUNCTIONS[self.measure.function](values):.12g}" if values else None
