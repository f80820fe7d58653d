"""Series: the values of a measure over the versions of a document."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ...storage import Item
from .extraction import Extractor, floats_of, text_of
from .measures import FUNCTIONS, Measure, Measures
from .numbers import as_float, is_number

K = TypeVar("K", bound=tuple[Any, ...])


class Point(NamedTuple):
    """A value of a series, and its version.

    ``changed_at`` is the time as the storage writes it, ``text`` the digits that were sent, ``value`` what is drawn.
    """

    version: int
    changed_at: str
    text: str
    value: float


class Series(NamedTuple):
    """The values of a measure, the oldest first.

    ``gone`` is the first version without it where the newest has none. ``breaks`` are the indices of points before
    which there is a version without it, or a deletion.
    """

    name: str
    points: list[Point]
    gone: int | None
    breaks: frozenset[int] = frozenset()


def read_series(items: Iterable[Item], plottable: Measures, chosen: Sequence[Measure]) -> list[Series]:
    """Return the Series of some of the Measures in a document, given versions in their order, deletions among them."""
    places = {steps: place for place, steps in enumerate(dict.fromkeys(measure.steps for measure in chosen))}
    extractor = Extractor(list(places), repeated=plottable.repeated)
    tracks = [_Track(measure, places[measure.steps]) for measure in chosen]
    for item in items:
        values = [[]] * len(places) if item.deleted else extractor.extract(item.record.json)
        floats: dict[int, list[float]] = {}
        for track in tracks:
            track.add(item, values[track.place], floats)
    return [Series(track.measure.name, track.points, track.gone, frozenset(track.breaks)) for track in tracks]


def tabulate(columns: Sequence[Mapping[K, str]]) -> list[tuple[K, list[str]]]:
    """Return a table as rows of (key, texts), ordered by the keys; a text is empty where its column has none."""
    keys = sorted({key for column in columns for key in column})
    return [(key, [column.get(key, "") for column in columns]) for key in keys]


class _Track:
    """A Series that is being built; ``place`` is the index of its place in the Extractor."""

    def __init__(self, measure: Measure, place: int) -> None:
        self.measure = measure
        self.place = place
        self.points: list[Point] = []
        self.breaks: list[int] = []
        self.gone: int | None = None

    def add(self, item: Item, values: list[Any], floats: dict[int, list[float]]) -> None:
        """Add the value of one version; ``floats`` holds the numbers of places already read in this version."""
        text = self._value_text(values, floats) if values else None
        if text is None:
            self.gone = self.gone or item.version
            return
        if self.gone and self.points:
            self.breaks.append(len(self.points))
        self.gone = None
        self.points.append(Point(item.version, item.changed_at, text, as_float(text)))

    def _value_text(self, values: list[Any], floats: dict[int, list[float]]) -> str | None:
        """Return the digits of the measure's value in one version, or None."""
        if not self.measure.function:
            text = text_of(values[0])
            return text if is_number(text) else None
        if self.place not in floats:
            floats[self.place] = floats_of(values)
        numbers = floats[self.place]
        return f"{FUNCTIONS[self.measure.function](numbers):.12g}" if numbers else None
