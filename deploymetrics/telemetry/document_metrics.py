"""Metrics of the documents: the numbers in them, as lines of a scrape.

The lines of a document are made when it has changed, and kept until it changes again. They are the same in Prometheus'
text format and in OpenMetrics.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ..clock import Clock, from_precise
from ..documents.expectations import STALE, Expectations, state_names
from ..documents.service import DOCUMENTS, Documents, Entry, Listing
from ..documents.values.identity import survey
from ..documents.values.numbers import is_number
from ..documents.values.places import MAX_KEY, Place, leaves, places_by_name
from ..formats import rawjson

NAME = "bigfix_deployment_metric"
#: The families by the end of their name, and what they are.
HELP = {
    "": "A number in a document, by the document's tag and its own name there.",
    "_last_changed_timestamp_seconds": "When the document was last written.",
    "_version": "The version of the document.",
    "_size_bytes": "The size of the document.",
    "_left_out": "Numbers of the document that are left out, because there are too many.",
    "_tags_left_out": "Tags that are left out, because there are too many.",
    "_tags_damaged": "Documents that cannot be read.",
    "_expected_interval_seconds": "The longest time in which a post of the tag is expected.",
    "_stale": "1 if the last post of the tag is longer ago than that, else 0.",
}
#: What a tag has beside its numbers.
_OF_EACH: dict[str, Callable[[Entry], object]] = {
    "_last_changed_timestamp_seconds": lambda item: f"{from_precise(item.changed_at).timestamp():.6f}",
    "_version": attrgetter("version"),
    "_size_bytes": attrgetter("size"),
}
#: After so many seconds of work others get a turn.
_TURN_SECONDS = 0.005
_PAUSE_SECONDS = 0.0002
_PLAIN_DIGITS = 15
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class _Numbers(NamedTuple):
    """The lines of a document for one revision: one for each of ``number`` numbers; ``left_out`` counts others."""

    revision: str
    tag: str
    lines: str
    number: int
    left_out: int


class DocumentMetrics:
    """Makes the lines of a scrape for all documents: at most ``per_tag`` numbers of each, and ``in_all`` series."""

    def __init__(
        self, documents: Documents, expectations: Expectations, clock: Clock, *, per_tag: int, in_all: int
    ) -> None:
        self.documents = documents
        self.expectations = expectations
        self.clock = clock
        self.per_tag = per_tag
        self.in_all = in_all
        self._lock = threading.Lock()
        self._numbers: dict[str, _Numbers] = {}
        self._revision = ""
        self._body = b""

    def text(self) -> bytes:
        """Return the lines of a scrape for all documents; raises StorageError."""
        with self._lock:
            listing = self.documents.list()
            entries = listing.items[: self.in_all // (len(_OF_EACH) + 1)]
            if self._revision != listing.revision:
                self._update(listing, entries)
                self._body = "".join(self._families(listing, entries)).encode()
                self._revision = listing.revision
            return self._body + "".join(self._expected(entries)).encode()

    def _update(self, listing: Listing, entries: tuple[Entry, ...]) -> None:
        """Make the lines of documents that have changed since the last scrape, and drop those of others."""
        before, turn = self._numbers, time.monotonic() + _TURN_SECONDS
        self._numbers = {item.key: numbers for item in entries if (numbers := before.get(item.key))}
        changed = (
            place
            for place, item in enumerate(entries)
            if item.key not in before or before[item.key].revision != item.revision
        )
        for start, stop in _runs(changed):
            for item, value in zip(entries[start:stop], listing.values(start, stop)):
                self._numbers[item.key] = _numbers_of(item, value, self.per_tag)
                if time.monotonic() > turn:
                    time.sleep(_PAUSE_SECONDS)
                    turn = time.monotonic() + _TURN_SECONDS

    def _families(self, listing: Listing, entries: tuple[Entry, ...]) -> Iterator[str]:
        """Yield the metric families that change with the documents only."""
        room = self.in_all - len(_OF_EACH) * len(entries)
        numbers, left_out = [], []
        for item in entries:
            document = self._numbers[item.key]
            fit = min(document.number, room)
            room -= fit
            # Not splitlines, which ends a line at what a name can have: U+2028, for one.
            numbers.append(
                document.lines if fit == document.number else "\n".join([*document.lines.split("\n")[:fit], ""])
            )
            if more := document.left_out + document.number - fit:
                left_out.append(_sample("_left_out", document.tag, more))
        yield from _family("", numbers)
        for end, value_of in _OF_EACH.items():
            yield from _family(end, (_sample(end, self._numbers[item.key].tag, value_of(item)) for item in entries))
        yield from _family("_left_out", left_out)
        yield from _family("_tags_left_out", [f"{NAME}_tags_left_out {len(listing.items) - len(entries)}\n"])
        yield from _family("_tags_damaged", [f"{NAME}_tags_damaged {len(listing.damaged)}\n"])

    def _expected(self, entries: tuple[Entry, ...]) -> Iterator[str]:
        """Yield the metric families about expectations, which change with time too."""
        expected = self.expectations.all()
        items = [item for item in entries if item.key in expected]
        tags = [self._numbers[item.key].tag for item in items]
        names = state_names(items, expected, self.clock.now())
        end = "_expected_interval_seconds"
        yield from _family(end, (_sample(end, tag, expected[item.key]) for tag, item in zip(tags, items)))
        yield from _family("_stale", (_sample("_stale", tag, int(name == STALE)) for tag, name in zip(tags, names)))


def _family(end: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the text of a metric family, unless it has no lines."""
    text = "".join(lines)
    if text:
        yield f"# HELP {NAME}{end} {HELP[end]}\n# TYPE {NAME}{end} gauge\n{text}"


def _sample(end: str, tag: str, value: object) -> str:
    return f'{NAME}{end}{{tag="{tag}"}} {value}\n'


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) for each run of consecutive numbers."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        numbers_in_run = [number for _, number in run]
        yield numbers_in_run[0], numbers_in_run[-1] + 1


def _numbers_of(item: Entry, value: bytes, limit: int) -> _Numbers:
    tag = item.key.translate(_ESCAPES)
    numbers, left_out = _named_numbers(DOCUMENTS.decode(value).parse(), limit)
    lines = (f'{NAME}{{name="{name.translate(_ESCAPES)}",tag="{tag}"}} {_digits(text)}\n' for name, text in numbers)
    return _Numbers(item.revision, tag, "".join(lines), len(numbers), left_out)


def _named_numbers(metrics: Any, limit: int) -> tuple[list[tuple[str, str]], int]:
    """Return (name, digits) of the first numbers in a document, up to ``limit``, and how many more it has."""
    if (flat := _flat(metrics)) is not None:
        return flat[:limit], max(len(flat) - limit, 0)
    numbers: dict[Place, str] = {}
    left_out = 0
    for place, value in leaves(metrics, Place(), survey([metrics])):
        if is_number(value):
            if len(numbers) < limit:
                numbers[place] = str(value)
            else:
                left_out += 1
    return [(name, numbers[place]) for name, place in places_by_name(numbers).items()], left_out


def _flat(metrics: Any) -> list[tuple[str, str]] | None:
    """Return (name, digits) of the numbers in a flat object, in a fifth of the time; None for other documents."""
    value = metrics[0] if type(metrics) is list and len(metrics) == 1 else metrics
    if type(value) is not rawjson.Pairs or len(dict(value)) < len(value):
        return None
    if any(isinstance(member, list) or len(key) > MAX_KEY for key, member in value):
        return None
    return [(key, member) for key, member in value if is_number(member)]


def _digits(text: str) -> str:
    """Return the digits of a number for a scrape; long numbers become the nearest float."""
    if len(text) <= _PLAIN_DIGITS and text.isascii() and "e" not in text.lower():
        return text
    digits = repr(float(text))
    return {"inf": "+Inf", "-inf": "-Inf"}.get(digits, digits)
