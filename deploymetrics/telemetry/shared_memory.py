"""Counters in memory that the processes of a server share, so that any worker can add up those of all.

The memory has a region for each process. The master makes it and its workers inherit it, so it is gone with the master
and nothing has to be cleaned up. A region holds cells, each with its name before it, and only its own process writes
there. The region of a process that has ended is still added up with the others, so no counter goes down; a process
that gets it later counts on.
"""

import mmap
import struct
import threading
from collections.abc import Iterator
from typing import TypeAlias

REGION_BYTES = 2**17
_HEAD = struct.Struct("=q")  # how many bytes of a region are used
_ENTRY = struct.Struct("=ii")  # the number of bytes of a name, and of the cells after it
_CELL_BYTES = 8
Floats: TypeAlias = "memoryview[float]"


class Memory:
    """Memory with a region for each process; ``is_shared`` if all processes of the server have it."""

    def __init__(self, regions: int = 1, *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        self.regions = regions
        self.own = 0  # the number of this process
        self._memory = memoryview(mmap.mmap(-1, regions * REGION_BYTES))

    def region(self, number: int) -> memoryview:
        """Return the region of a process, by its number from 0 on."""
        start = number % self.regions * REGION_BYTES
        return self._memory[start : start + REGION_BYTES]

    def counters(self) -> "Counters":
        """Return the Counters of this process."""
        return Counters(self.region(self.own))

    def totals(self) -> dict[str, list[float]]:
        """Return the cells of each counter by name, added up over all processes."""
        totals: dict[str, list[float]] = {}
        for number in range(self.regions):
            for name, cells in _entries(self.region(number)):
                before = totals.get(name)
                totals[name] = list(cells) if before is None else [a + b for a, b in zip(before, cells)]
        return totals

    def clear(self, number: int, name: str) -> None:
        """Set a counter to 0 in the region of a process that has ended."""
        for counter_name, cells in _entries(self.region(number)):
            if counter_name == name:
                cells[:] = _zeros(cells.nbytes)


class Counters:
    """The counters of one process. Its threads hold ``lock`` while they change a cell."""

    def __init__(self, region: memoryview) -> None:
        self.lock = threading.Lock()
        self._region = region
        self._known = dict(_entries(region))

    def cells_of(self, name: str, count: int = 1) -> Floats:
        """Return the ``count`` cells of a counter, and add it if it is new; in a full region nobody else sees it."""
        with self.lock:
            cells = self._known.get(name)
            if cells is None:
                cells = self._known[name] = self._add_counter(name, count)
            return cells

    def _add_counter(self, name: str, count: int) -> Floats:
        text = name.encode()
        text += bytes(-len(text) % _CELL_BYTES)
        start = max(_HEAD.unpack_from(self._region)[0], _HEAD.size)
        cells = start + _ENTRY.size + len(text)
        end = cells + count * _CELL_BYTES
        if end > len(self._region):
            return _zeros(count * _CELL_BYTES)
        _ENTRY.pack_into(self._region, start, len(text), count * _CELL_BYTES)
        self._region[start + _ENTRY.size : cells] = text
        _HEAD.pack_into(self._region, 0, end)  # last: others read up to there
        return self._region[cells:end].cast("d")


def _zeros(size: int) -> Floats:
    return memoryview(bytearray(size)).cast("d")


def _entries(region: memoryview) -> Iterator[tuple[str, Floats]]:
    """Yield (name, cells) of each counter in a region."""
    end = _HEAD.unpack_from(region)[0]
    start = _HEAD.size
    while start < end:
        name_bytes, cell_bytes = _ENTRY.unpack_from(region, start)
        begin, cells = start + _ENTRY.size, start + _ENTRY.size + name_bytes
        yield str(region[begin:cells], "utf-8").rstrip("\0"), region[cells : cells + cell_bytes].cast("d")
        start = cells + cell_bytes
