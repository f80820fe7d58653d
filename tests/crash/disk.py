"""What a disk may hold after a power loss, in the strict reading of POSIX.

Only a sync makes anything durable: fsync of a file its content, fsync of a folder the names in it. Whatever was not
synced may be there or not, names one by one and in any order, content whole, lost, torn or as zeros.
"""

import os
from collections import defaultdict

BLOCK = 4096
ROOT = 0
#: The time of all files; those made by hand get it as well, since it counts for them.
MODIFIED_AT = 1_515_758_403


class Disk:
    """Files and folders by number, with what is pending for each. Apply operations with ``apply``, ask ``states``."""

    def __init__(self):
        self.folders = {ROOT: {}}  # number of a folder → name → number, as it is durable
        self.contents = {}  # number of a file → bytes, as it is durable
        self.names = []  # pending (folder, operation…), in their order
        self.data = defaultdict(list)  # number of a file → pending (offset, bytes) and (size, None)

    def apply(self, operation, *args):
        """Carry out one operation: mkdir, create, unlink, rename, exchange, write, truncate or sync."""
        getattr(self, operation)(*args)

    def mkdir(self, parent, name, number):
        self.folders[number] = {}
        self.names.append((parent, "link", name, number))

    def create(self, parent, name, number):
        self.contents[number] = b""
        self.names.append((parent, "link", name, number))

    def unlink(self, parent, name):
        self.names.append((parent, "unlink", name))

    def rename(self, parent, name, new_name, number):
        self.names.append((parent, "rename", name, new_name, number))

    def exchange(self, parent, name, other):
        self.names.append((parent, "exchange", name, other))

    def write(self, number, offset, data):
        self.data[number].append((offset, data))

    def truncate(self, number, size):
        self.data[number].append((size, None))

    def sync(self, number):
        if number in self.folders:
            _rename_all(self.folders, [change for change in self.names if change[0] == number])
            self.names = [change for change in self.names if change[0] != number]
        elif number in self.data:
            self.contents[number] = _whole(self.contents[number], self.data.pop(number))

    def states(self):
        """Every state, as a dict of path → bytes, or None for a folder."""
        for names in _subsets(self.names):
            folders = {number: dict(entries) for number, entries in self.folders.items()}
            _rename_all(folders, names)
            for contents in self._contents():
                yield dict(_walk(folders, contents, ROOT, ""))

    def _contents(self):
        whole = {number: _whole(self.contents[number], pending) for number, pending in self.data.items()}
        for variant in VARIANTS:
            changed = {number: variant(self.contents[number], pending) for number, pending in self.data.items()}
            yield self.contents | changed
            if len(changed) > 1:
                for number in changed:
                    yield self.contents | whole | {number: changed[number]}
            if not changed:
                return


def _subsets(names):
    """The pending changes of names that reached the disk: in their order up to a point, or all but one."""
    for count in range(len(names) + 1):
        yield names[:count]
    for lost in range(len(names) - 1):
        yield names[:lost] + names[lost + 1:]


def _rename_all(folders, changes):
    for parent, kind, name, *more in changes:
        entries = folders[parent]
        if kind == "exchange":
            _exchange(entries, name, more[0])
            continue
        if kind == "link":
            entries[name] = more[0]
        else:
            entries.pop(name, None)
        if kind == "rename":
            entries[more[0]] = more[1]


def _exchange(entries, name, other):
    """Where the creation of one of the two is lost, so is the exchange: a name cannot stand for a file without it."""
    if name in entries and other in entries:
        entries[name], entries[other] = entries[other], entries[name]


def _walk(folders, contents, number, path):
    for name, child in folders[number].items():
        below = os.path.join(path, name)
        if child in folders:
            yield below, None
            yield from _walk(folders, contents, child, below)
        else:
            yield below, contents[child]


def _whole(content, pending):
    for offset, data in pending:
        if data is None:
            content = content[:offset].ljust(offset, b"\0")
        else:
            content = content[:offset].ljust(offset, b"\0") + data + content[offset + len(data):]
    return content


def _lost(content, pending):
    return content


def _torn(cut):
    """The last write reached the disk up to a place that ``cut`` finds in its data."""

    def variant(content, pending):
        offset, data = pending[-1]
        return _whole(content, pending[:-1] + [(offset, data and data[:cut(data)])])

    return variant


def _zeroed(blank):
    """The sizes are as they were, and what ``blank`` makes of each write is there of it."""

    def variant(content, pending):
        return _whole(content, [(offset, data and blank(offset, data)) for offset, data in pending])

    return variant


def _first_block_blank(offset, data):
    missing = min(len(data), BLOCK - offset % BLOCK)
    return bytes(missing) + data[missing:]


def _last_block_blank(offset, data):
    there = max(0, (offset + len(data)) // BLOCK * BLOCK - offset)
    return data[:there] + bytes(len(data) - there)


VARIANTS = (
    _whole,
    _lost,
    _torn(lambda data: 1),
    _torn(lambda data: len(data) // 2),
    _torn(lambda data: data.find(b"\n") + 1),
    _torn(lambda data: len(data) - 1),
    _zeroed(lambda offset, data: bytes(len(data))),
    _zeroed(_first_block_blank),
    _zeroed(_last_block_blank),
)


def materialise(state, folder):
    """Put a state into an empty folder."""
    for path, content in state.items():
        path = os.path.join(folder, path)
        if content is None:
            os.mkdir(path, 0o700)
        else:
            with open(path, "wb") as file:
                file.write(content)
            os.utime(path, (MODIFIED_AT, MODIFIED_AT))
