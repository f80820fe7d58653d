"""The values of a list, kept in memory up to a limit, a block at a time; what is beyond it is read each time.

Only what was asked for is kept: a process that sends pages, or answers 304, keeps little.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic

from .blocks import Block, Blocks, E
from .listing import Listing

#: The most bytes of values that a process keeps for the lists of a collection.
KEPT_BYTES = 2**27
#: The values of a block that is larger are not kept; of what is read each time, about so many bytes are read at once.
BLOCK_BYTES = 2**22
PIECE_BYTES = 2**18


class ValueCache(Generic[E]):
    """Reads values by ``read``, a function that gives those of some entries, in their order."""

    def __init__(self, read: Callable[[Sequence[E]], Iterable[bytes]]) -> None:
        self.read = read
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Sequence[E], bytes]] = {}  # by the first key of the block
        self._bytes = 0

    def listing(self, blocks: Blocks[E], damaged: Iterable[str]) -> Listing:
        """Return the Listing of the entries in ``blocks``, and forget what is in none of these."""
        keys, parts = tuple(sorted(damaged)), tuple(blocks.blocks)
        self._forget_others(parts)
        read = partial(self._pieces, parts)
        return Listing(blocks.revision(keys), blocks.changed_at(), blocks.entries(), keys, read)

    def _forget_others(self, blocks: Sequence[Block[E]]) -> None:
        firsts = {block.entries[0].key for block in blocks}
        with self._lock:
            for key in self._kept.keys() - firsts:
                self._bytes -= len(self._kept.pop(key)[1])

    def _pieces(self, blocks: Iterable[Block[E]], start: int, stop: int) -> Iterator[bytes]:
        """Yield the values of the entries from ``start`` to ``stop``, each with a comma before it."""
        place = 0
        for entries, _, _ in blocks:
            first, last = max(start - place, 0), min(stop - place, len(entries))
            if first < last:
                yield from self._of_block(entries, first, last)
            place += len(entries)

    def _of_block(self, entries: Sequence[E], start: int, stop: int) -> Iterator[bytes]:
        text = self._text(entries)
        if text is None:
            for batch in _batches(entries[start:stop]):
                yield b"".join(b"," + value for value in self.read(batch))
        elif stop - start == len(entries):
            yield text
        else:
            yield text[_size(entries[:start]) : _size(entries[:stop])]

    def _text(self, entries: Sequence[E]) -> bytes | None:
        """Return all values of a block, or None where there is no room to keep them."""
        first = entries[0].key
        before, text = self._kept.get(first, ((), b""))
        if before is entries:
            return text
        size = _size(entries)
        if size > BLOCK_BYTES or self._bytes - len(text) + size > KEPT_BYTES:
            return None
        values, place = {}, 0
        for entry in before:
            values[entry.revision] = text[place + 1 : (place := place + 1 + entry.size)]
        if missing := [entry for entry in entries if entry.revision not in values]:
            values |= zip((entry.revision for entry in missing), self.read(missing), strict=True)
        text = b"".join(b"," + values[entry.revision] for entry in entries)
        with self._lock:
            self._bytes += len(text) - len(self._kept.get(first, ((), b""))[1])
            self._kept[first] = entries, text
        return text


def _size(entries: Sequence[E]) -> int:
    return sum(entry.size + 1 for entry in entries)


def _batches(entries: Sequence[E]) -> Iterator[Sequence[E]]:
    """Yield the entries in their order, so many at a time as may be read at once."""
    start = size = 0
    for number, entry in enumerate(entries):
        if number > start and size + entry.size > PIECE_BYTES:
            yield entries[start:number]
            start, size = number, 0
        size += entry.size
    yield entries[start:]
