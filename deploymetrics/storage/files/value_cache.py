"""The values of a list, kept in memory up to a limit, a block at a time; what is beyond it is read each time.

Only what was asked for is kept: a process that sends pages, or answers 304, keeps little.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..blocks import Block
from .locations import Location

#: The most bytes of values that a process keeps for the lists of a collection.
KEPT_BYTES = 2**27
#: The values of a block that is larger are not kept; a piece of what is read each time has about so many bytes.
BLOCK_BYTES = 2**22
PIECE_BYTES = 2**16


class ValueCache:
    """Reads values by ``read``, a function that gives the value of a Location."""

    def __init__(self, read: Callable[[Location], bytes]) -> None:
        self.read = read
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Sequence[Location], bytes]] = {}  # by the first key of the block
        self._bytes = 0

    def pieces(self, blocks: Iterable[Block[Location]], start: int, stop: int) -> Iterator[bytes]:
        """Yield the values of the entries from ``start`` to ``stop``, each with a comma before it."""
        place = 0
        for entries, _, _ in blocks:
            first, last = max(start - place, 0), min(stop - place, len(entries))
            if first < last:
                yield from self._of_block(entries, first, last)
            place += len(entries)

    def forget(self, blocks: Sequence[Block[Location]]) -> None:
        """Forget what is of none of these blocks; to be called when blocks came or went."""
        if len(self._kept) > len(blocks):
            firsts = {block.entries[0].key for block in blocks}
            with self._lock:
                for key in [key for key in self._kept if key not in firsts]:
                    self._bytes -= len(self._kept.pop(key)[1])

    def _of_block(self, entries: Sequence[Location], start: int, stop: int) -> Iterator[bytes]:
        text = self._text(entries)
        if text is None:
            yield from self._some_at_a_time(entries[start:stop])
        elif stop - start == len(entries):
            yield text
        else:
            sizes = [entry.size + 1 for entry in entries[:stop]]
            yield text[sum(sizes[:start]) : sum(sizes)]

    def _text(self, entries: Sequence[Location]) -> bytes | None:
        """Return all values of a block, or None where there is no room to keep them."""
        first = entries[0].key
        before, text = self._kept.get(first, ((), b""))
        if before is entries:
            return text
        size = sum(entry.size + 1 for entry in entries)
        if size > BLOCK_BYTES or self._bytes - len(text) + size > KEPT_BYTES:
            return None
        known, place = {}, 0
        for entry in before:
            known[entry.revision] = place
            place += entry.size + 1
        parts = []
        for entry in entries:
            at = known.get(entry.revision)
            parts += [b",", self.read(entry)] if at is None else [text[at : at + entry.size + 1]]
        text = b"".join(parts)
        with self._lock:
            self._bytes += len(text) - len(self._kept.get(first, ((), b""))[1])
            self._kept[first] = entries, text
        return text

    def _some_at_a_time(self, entries: Iterable[Location]) -> Iterator[bytes]:
        parts, size = [], 0
        for entry in entries:
            parts += [b",", self.read(entry)]
            size += entry.size
            if size >= PIECE_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)
