"""What a disk may hold after a power loss, in the strict reading of POSIX.

Only a sync makes anything durable: fsync of a file its content, fsync of a folder the names in it. Whatever was not
synced may be there or not, names one by one and in any order, content whole, lost, torn or as zeros.
"""

import os
from collections import defaultdict

BLOCK = 4096
ROOT = 0
#: The time of all files, so that nothing can be told from it.
MODIFIED_AT = 1_515_758_403


class Disk:
    """Files and folders by number, with what is pending for each. Apply operations with ``apply``, ask ``states``."""

    def __init__(self):
        self.folders = {ROOT: {}}  # number of a folder → name → number, as it is durable
        self.contents = {}  # number of a file → bytes, as it is durable
        self.names = []  # pending (folder, operation…), in their order
        self.data = defaultdict(list)  # number of a file → pending (offset, bytes) and (size, None)
        # How many of the names, and which files, are pending for long; which files may be so next.
        self.old_names, self.old_files, self.next_old = 0, set(), set()

    def apply(self, operation, *args):
        """Carry out one operation: mkdir, create, unlink (also of a folder), rename, write, truncate or sync."""
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

    def write(self, number, offset, data):
        self.old_files.discard(number)
        self.next_old.discard(number)
        self.data[number].append((offset, data))

    def truncate(self, number, size):
        self.old_files.discard(number)
        self.next_old.discard(number)
        self.data[number].append((size, None))

    def sync(self, number, site=None):
        if number in self.folders:
            _rename_all(self.folders, [change for change in self.names if change[0] == number])
            self.old_names -= sum(change[0] == number for change in self.names[: self.old_names])
            self.names = [change for change in self.names if change[0] != number]
        elif number in self.data:
            self.contents[number] = _whole(self.contents[number], self.data.pop(number))

    def grow_old(self):
        """Let what is pending now be there or not, but no longer in every mixture: there are too many."""
        self.old_names, self.old_files, self.next_old = len(self.names), self.next_old, set(self.data)

    def is_idle(self, number):
        """Return True if a sync of this file or folder would make nothing durable."""
        return number not in self.data and all(change[0] != number for change in self.names)

    def whole(self):
        """Return the state without a power loss."""
        folders = {number: dict(entries) for number, entries in self.folders.items()}
        _rename_all(folders, self.names)
        contents = {number: _whole(self.contents[number], pending) for number, pending in self.data.items()}
        return _filled(_walk(folders, ROOT, ""), self.contents | contents)

    def synced(self):
        """Return the state in which only that is there which was synced."""
        return _filled(_walk(self.folders, ROOT, ""), self.contents)

    def states(self):
        """Yield every state, as a dict of path → bytes, or None for a folder.

        Names are mixed with contents that are there, lost or blank; torn contents are under the names of then.
        """
        for names in self._subsets():
            folders = {number: dict(entries) for number, entries in self.folders.items()}
            _rename_all(folders, names)
            paths = list(_walk(folders, ROOT, ""))
            for contents in self._contents(VARIANTS if len(names) == len(self.names) else VARIANTS[:2]):
                yield _filled(paths, contents)

    def _subsets(self):
        """Yield the changes of names that reached the disk: in their order up to a point, or all but one."""
        for count in (0, *range(self.old_names, len(self.names) + 1)):
            yield self.names[:count]
        for lost in range(len(self.names) - 1):
            yield self.names[:lost] + self.names[lost + 1 :]

    def _contents(self, variants):
        whole = {number: _whole(self.contents[number], pending) for number, pending in self.data.items()}
        yield self.contents | whole
        for variant in variants if whole else ():
            changed = {
                number: variant(self.contents[number], pending)
                for number, pending in self.data.items()
                if variant is _lost or number not in self.old_files
            }
            yield self.contents | whole | changed
            for number in changed if variant in VARIANTS[:2] else ():
                yield self.contents | whole | {number: changed[number]}


def _rename_all(folders, changes):
    for parent, kind, name, *more in changes:
        entries = folders[parent]
        if kind == "link":
            entries[name] = more[0]
        else:
            entries.pop(name, None)
        if kind == "rename":
            entries[more[0]] = more[1]


def _walk(folders, number, path):
    """Yield each path with the number of its file, None for a folder."""
    for name, child in folders[number].items():
        below = f"{path}/{name}" if path else name
        if child in folders:
            yield below, None
            yield from _walk(folders, child, below)
        else:
            yield below, child


def _filled(paths, contents):
    return {path: None if number is None else contents[number] for path, number in paths}


def _whole(content, pending):
    for offset, data in pending:
        if data is None:
            content = content[:offset].ljust(offset, b"\0")
        else:
            content = content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]
    return content


def _lost(content, pending):
    return content


def _torn(cut):
    """The last write reached the disk up to a place that ``cut`` finds in its data."""

    def variant(content, pending):
        offset, data = pending[-1]
        return _whole(content, pending[:-1] + [(offset, data and data[: cut(data)])])

    return variant


def _zeroed(blank):
    """The sizes are as they were, and what ``blank`` makes of each write is there of it."""

    def variant(content, pending):
        return _whole(content, [(offset, data and blank(offset, data)) for offset, data in pending])

    return variant


def _all_but_the_last_blank(content, pending):
    """The last write reached the disk before the others, which are in other blocks."""
    blank = [(offset, data and bytes(len(data))) for offset, data in pending[:-1]]
    return _whole(content, [*blank, *pending[-1:]])


def _first_block_blank(offset, data):
    missing = min(len(data), BLOCK - offset % BLOCK)
    return bytes(missing) + data[missing:]


def _last_block_blank(offset, data):
    there = max(0, (offset + len(data)) // BLOCK * BLOCK - offset)
    return data[:there] + bytes(len(data) - there)


VARIANTS = (
    _lost,
    _zeroed(lambda offset, data: bytes(len(data))),
    lambda content, pending: _whole(content, pending[:-1]),
    lambda content, pending: _whole(content, pending[: len(pending) // 2]),
    _torn(lambda data: 1),
    _torn(lambda data: len(data) // 2),
    _torn(lambda data: data.find(b"\n") + 1),
    _torn(lambda data: len(data) - 1),
    _zeroed(_first_block_blank),
    _zeroed(_last_block_blank),
    _all_but_the_last_blank,
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
