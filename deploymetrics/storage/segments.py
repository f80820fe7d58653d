"""The superseded versions of one key: a folder of files with some dozen versions each, one JSON object a line.

A file is named by the version it begins with. Lines are only ever added to the last one, and versions are dropped
by removing the first, so that trimming costs one ``unlink`` now and then and never touches what a reader has open.
A line counts only when its version is below the current one: what a crash left of a write that was not committed is
skipped by readers, and cut off by the next writer.
"""

import os
from bisect import bisect_right

from ..errors import DamagedItem
from . import durable, entries

SEGMENT_LINES = 64
SEGMENT_BYTES = 2**18
SUFFIX = ".jsonl"
DAY = 86400


class Segments:
    """The history of one key in ``folder``; writers hold the key's lock, readers need none."""

    def __init__(self, kind, key, folder):
        self.kind = kind
        self.key = key
        self.folder = folder

    def starts(self):
        """The versions with which the files begin, ascending."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted(int(name.removesuffix(SUFFIX)) for name in names if name.removesuffix(SUFFIX).isdecimal())

    def last(self):
        """The newest Item in here, or None; for a key that has no current one."""
        return next(self.newest_first(None), None)

    def newest_first(self, below):
        """Yield Items with a version below ``below`` (None: all)."""
        for start in reversed(self.starts()):
            if below is None or start < below:
                for line in reversed(self._lines(start)):
                    item = entries.decode(self.kind, self.key, line)
                    if below is None or item.version < below:
                        yield item

    def find(self, version, below):
        """The Item of a version that is below ``below``, or None."""
        starts = self.starts()
        index = bisect_right(starts, version)
        if not index or (below is not None and version >= below):
            return None
        prefix = b'{"version":%d,' % version
        line = next((line for line in self._lines(starts[index - 1]) if line.startswith(prefix)), None)
        return line and entries.decode(self.kind, self.key, line)

    def append(self, first_version, lines):
        """Add ``lines``, the first of which has ``first_version``, durably; whatever is there from it on is cut off."""
        starts = self.starts()
        if not starts:
            durable.make_folder(self.folder)
        start = starts[-1] if starts else first_version
        if starts and not self._append_to(start, first_version, lines):
            start = first_version
        if start not in starts:
            self._append_to(start, first_version, lines)
            durable.sync_folder(self.folder)

    def trim(self, newest, versions, oldest):
        """Remove files that hold only versions past the limits: more than ``versions`` below ``newest``, or last
        written to before ``oldest`` (seconds). The last file stays, so that versions go on counting."""
        starts = self.starts()
        for start, following in zip(starts, starts[1:]):
            path = self._path(start)
            if following > newest - versions and os.stat(path).st_mtime >= oldest:
                break
            os.unlink(path)

    def _path(self, start):
        return os.path.join(self.folder, f"{start:012d}{SUFFIX}")

    def _lines(self, start):
        data, _ = durable.read_file(self._path(start))
        # A last line without a newline is being written, or was when the machine stopped.
        return (data or b"").split(b"\n")[:-1]

    def _append_to(self, start, first_version, lines):
        """Add lines to the file that begins with ``start``; False where it is full."""
        fd = os.open(self._path(start), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.FILE_MODE)
        try:
            data = os.read(fd, os.fstat(fd).st_size)
            kept = self._committed(data, first_version)
            size = sum(map(len, kept))
            full = kept and (len(kept) >= SEGMENT_LINES or size + len(lines[0]) > SEGMENT_BYTES)
            if size < len(data):
                os.ftruncate(fd, size)
            if not full:
                os.lseek(fd, size, os.SEEK_SET)
                durable.write_all(fd, b"".join(lines))
            if not full or size < len(data):
                os.fsync(fd)
            return not full
        finally:
            os.close(fd)

    def _committed(self, data, first_version):
        """The lines of ``data``, with their newlines, that are whole and below ``first_version``."""
        kept = data.splitlines(keepends=True)
        if kept and not kept[-1].endswith(b"\n"):
            kept.pop()
        while kept and self._version(kept[-1]) >= first_version:
            kept.pop()
        return kept

    def _version(self, line):
        match = entries.VERSION.match(line)
        if match is None:
            raise DamagedItem(
                f"The history of {self.key!r} of {self.kind.name} is damaged; an administrator has to mend its file.",
                log=f"{self.folder}: a line without a version",
            )
        return int(match[1])
