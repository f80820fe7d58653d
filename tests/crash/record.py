"""Stands between the storage and the system: records what is done to files, lets calls fail, and kills the process.

Functions of the module ``os`` are replaced, whoever calls them, so no name of the storage is known here. At the end the
record is compared with what the folder really has: a change that came another way is found.
"""

import errno
import itertools
import os
import sys
import time
from contextlib import contextmanager, suppress

import pytest

import deploymetrics.storage

from .disk import MODIFIED_AT, ROOT, Disk

#: Calls that change something on the disk, or make it durable.
CHANGES = (
    "pwrite",
    "write",
    "ftruncate",
    "fsync",
    "fdatasync",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "remove",
    "rmdir",
)
READS = ("pread", "read", "stat", "lstat", "fstat", "listdir", "scandir", "dup", "close")
_REAL = {name: getattr(os, name) for name in ("open", "access", *CHANGES, *READS)}
_PACKAGE = os.path.dirname(deploymetrics.storage.__file__)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """The process ended here; nothing can catch it and go on."""


def killed_at(monkeypatch, place, name, work):
    """Do something, and be killed where the function ``name`` of a module or class would be called."""

    def kill(*args, **options):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(place, name, kill)
        work()


class Calls:
    """The calls below the folder ``root`` while ``in_place``, but for those to locks, which a power loss may take.

    ``before`` sees each first that ``sees`` does not leave out."""

    def __init__(self, root):
        self.root = f"{os.path.realpath(root)}/"

    def sees(self, name):
        """Return True if a call of that name is of interest now; those that open or change always have to be."""
        return name not in READS and name != "access"

    def before(self, name, path, is_change):
        """Do what a subclass does before a call; what it raises is what the call raises."""

    def after(self, name, path, args, result, existed):
        """Do what a subclass does after a call that changed something."""

    @contextmanager
    def in_place(self):
        """Let everybody use this."""
        with pytest.MonkeyPatch.context() as patch:
            for name, function in _REAL.items():
                patch.setattr(os, name, self._instead_of(name, function))
            yield self

    def _instead_of(self, name, function):
        def call(*args, **options):
            if not self.sees(name):
                return function(*args, **options)
            path = _path_of(args[0] if args else ".", options.get("dir_fd"))
            if not f"{path}/".startswith(self.root) or "/locks/" in f"{path}/":
                return function(*args, **options)
            is_change = name in CHANGES or (name == "open" and bool(args[1] & _WRITING))
            if name == "close":
                function(*args)  # whatever it says, the file is closed
            try:
                self.before(name, path, is_change)
            except OSError:
                if name == "access":
                    return False
                raise
            if name == "close":
                return None
            if name == "pwrite":
                args = args[0], self.taken(args[1]), *args[2:]
            existed = is_change and name == "open" and _exists(path)
            result = function(*args, **options)
            if is_change:
                self.after(name, path, args, result, existed)
            return result

        return call

    def taken(self, data):
        """Return the part of ``data`` that one call takes."""
        return data


def _path_of(path, dir_fd):
    """Return the path that a call is about, which may be an open file, or relative to an open folder."""
    if isinstance(path, int):
        with suppress(OSError):
            return os.readlink(f"/proc/self/fd/{path}").removesuffix(" (deleted)")
        return ""
    path = os.fspath(path)
    if isinstance(path, bytes):
        return ""
    return os.path.join(_path_of(dir_fd, None), path) if dir_fd is not None else os.path.abspath(path)


def _exists(path):
    with suppress(OSError):
        return bool(_REAL["lstat"](path))
    return False


class Killing(Calls):
    """Ends the process before its change of the number ``kill_at``, if given; ``counted`` is the number of changes."""

    def __init__(self, root, kill_at=None, counted=0):
        super().__init__(root)
        self.kill_at = kill_at
        self.counted = counted

    def before(self, name, path, is_change):
        if is_change and self.kill_at is not None and self.counted >= self.kill_at:
            raise Killed
        self.counted += is_change


class Recorder(Killing):
    """Records changes below ``root``, which has to be empty, as the Disk takes them.

    ``skip`` is a sync that is left out, as ``sites`` names it.
    """

    def __init__(self, root, skip=None, kill_at=None):
        super().__init__(root, kill_at)
        self.skip = skip
        self.operations = []
        self._numbers = {_REAL["stat"](root).st_ino: ROOT}
        self._next = itertools.count(1)

    @contextmanager
    def in_place(self):
        """Let time begin anew too, since files are named by it: so the same steps leave the same states, told once."""
        with pytest.MonkeyPatch.context() as patch, super().in_place():
            patch.setattr(time, "time_ns", itertools.count(MODIFIED_AT * 10**9, 1000).__next__)
            yield self

    def note(self, kind, *args):
        """Put a line of one's own into the record."""
        self.operations.append((kind, *args))

    def after(self, name, path, args, result, existed):
        place = os.path.split(path)
        if name == "open":
            self._opened(place, args, result, existed)
        elif name in ("write", "pwrite"):
            offset = args[2] if name == "pwrite" else _REAL["fstat"](args[0]).st_size - result  # only ever appended
            self.note("write", self._number(args[0]), offset, bytes(args[1])[:result])
        elif name == "ftruncate":
            self.note("truncate", self._number(args[0]), args[1])
        elif name in ("fsync", "fdatasync"):
            site = _site()
            if site != self.skip:
                self.note("sync", self._number(args[0]), site)
        elif name == "mkdir":
            self.note("mkdir", self._number(place[0]), place[1], self._new(path))
        elif name in ("rename", "replace"):
            there = os.path.split(os.path.abspath(args[1]))
            assert place[0] == there[0], "the model knows no other"
            self.note("rename", self._number(place[0]), place[1], there[1], self._number(args[1]))
        else:
            self.note("unlink", self._number(place[0]), place[1])

    def _opened(self, place, args, result, existed):
        if args[1] & os.O_CREAT and not existed:
            self.note("create", self._number(place[0]), place[1], self._new(result))
        elif args[1] & os.O_TRUNC:
            self.note("truncate", self._number(result), 0)

    def _number(self, path):
        return self._numbers[_REAL["stat"](path).st_ino]

    def _new(self, path):
        self._numbers[_REAL["stat"](path).st_ino] = number = next(self._next)
        return number

    def sites(self):
        """Return the places of all syncs that made something durable."""
        disk, sites = Disk(), set()
        for kind, *args in self.operations:
            if kind == "sync" and not disk.is_idle(args[0]):
                sites.add(args[1])
            if hasattr(disk, kind):
                disk.apply(kind, *args)
        return sites

    def disk(self):
        """Return the Disk after all that was recorded."""
        disk = Disk()
        for kind, *args in self.operations:
            if hasattr(disk, kind):
                disk.apply(kind, *args)
        return disk

    def assert_complete(self):
        """See that the record makes what the folder has."""
        there = {path: data for path, data in tree(self.root).items() if "locks" not in path}
        made = {path: data for path, data in self.disk().whole().items() if "locks" not in path}
        assert made == there


def tree(root):
    """Return what is below a folder: a dict of path → bytes, or None for a folder."""
    found = {}
    for at, folders, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(at, name), root): None for name in folders}
        for name in files:
            with open(os.path.join(at, name), "rb") as file:
                found[os.path.relpath(os.path.join(at, name), root)] = file.read()
    return found


def _site():
    """Return the line of the storage that makes this call, and the one that calls the function around it."""
    frame, places = sys._getframe(1), []
    while frame and len(places) < 2:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            places.append(f"{os.path.relpath(frame.f_code.co_filename, _PACKAGE)}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places)


#: Which calls an error is about, as a test of (name, is_change).
CONCERNS = {
    errno.ENOSPC: lambda name, is_change: name == "close" or (is_change and name not in ("unlink", "remove", "rmdir")),
    errno.EIO: lambda name, is_change: True,
    errno.EROFS: lambda name, is_change: is_change,
    errno.EMFILE: lambda name, is_change: name in ("open", "dup", "listdir", "scandir"),
    errno.EACCES: lambda name, is_change: (
        name
        in ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "listdir", "scandir", "stat", "lstat", "access")
    ),
}


class Failing(Calls):
    """Lets the call of number ``at`` among those that ``error`` concerns fail, and with ``lasts`` all after it.

    ``failed`` has the names of those calls. ``is_short``: ``pwrite`` takes one byte less than it is given.
    """

    def __init__(self, root, *, is_short=False):
        super().__init__(root)
        self.is_short = is_short
        self.end()

    def sees(self, name):
        return super().sees(name) or (self.at is not None and CONCERNS[self.error](name, False))

    def before(self, name, path, is_change):
        if self.at is not None and CONCERNS[self.error](name, is_change):
            number = next(self._count)
            if number == self.at or (self.lasts and number > self.at):
                self.failed.append(name)
                raise OSError(self.error, os.strerror(self.error), path)

    def taken(self, data):
        return data[:-1] if self.is_short and len(data) > 1 else data

    def begin(self, at, error, *, lasts):
        """Fail from now on."""
        self.at, self.error, self.lasts, self.failed, self._count = at, error, lasts, [], itertools.count()

    def end(self):
        """Fail no more."""
        self.at = None


class Filling(Recorder):
    """Records changes below ``root``, which has to be empty, on a disk that ``takes`` so many bytes of the next write.

    From then on it is full, and refuses to make a file shorter too, as some file systems do.
    """

    takes = None

    def before(self, name, path, is_change):
        super().before(name, path, is_change)
        if self.takes is not None and (name == "ftruncate" or (name == "pwrite" and self.takes == 0)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def taken(self, data):
        if self.takes is None:
            return data
        part, self.takes = data[: self.takes], max(self.takes - len(data), 0)
        return part


class FailingRecorder(Failing, Recorder):
    """Records changes below ``root``, which has to be empty, while calls fail."""
