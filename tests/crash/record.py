"""A stand-in for the module ``os`` that records what the storage does to its files, fails, or kills it."""

import fcntl
import itertools
import os
import sys
from contextlib import contextmanager

import pytest

from deploymetrics.storage import durable, exchange, restoring, segments, superseding

from .disk import ROOT

CHANGES = ("open", "write", "fsync", "rename", "unlink", "mkdir", "ftruncate", "exchange")
MODULES = durable, exchange, restoring, segments, superseding
_exchange = exchange.exchange


class Killed(BaseException):
    """The process ended here; nothing can catch it and go on."""


def killed_at(monkeypatch, place, name, work):
    """Do something, and be killed where the function ``name`` of a module or class would be called."""

    def kill(*args, **options):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(place, name, kill)
        work()


class PassedOn:
    """The module ``os`` but for what a subclass does first in ``before(name, args)``; syncs cost no time."""

    def __init__(self):
        self.files = {}  # open file → path

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in CHANGES and name != "close":
            return function

        def call(*args):
            path = self.files.get(args[0], args[0])
            if isinstance(path, int) or "/locks" in str(path):
                return function(*args)
            return self.change(name, function, path, args)

        return call

    def change(self, name, function, path, args):
        """Call the function, keeping track of which open file has which path."""
        if name == "fsync":
            return None
        result = function(*args)
        if name == "open":
            self.files[result] = path
        elif name == "close":
            self.files.pop(args[0], None)
        return result

    @contextmanager
    def in_place(self):
        """Let the storage use this instead of ``os``."""
        try:
            for module in MODULES:
                module.os = self
            exchange.exchange = self.exchange
            yield self
        finally:
            for module in MODULES:
                module.os = os
            exchange.exchange = _exchange

    def exchange(self, one, other):
        """Take the place of the function of that name."""
        return self.change("exchange", _exchange, one, (one, other))


class Recorder(PassedOn):
    """Records the operations below ``root`` as the Disk takes them, among whatever ``note`` puts between them.

    ``skip`` names a sync that is left out, as ``site`` names it. With ``kill_at`` the process ends before its
    operation of that number, and does nothing more.
    """

    def __init__(self, root, skip=None):
        super().__init__()
        self.root = str(root)
        self.skip = skip
        self.kill_at = None
        self.counted = 0
        self.operations = []
        self.sites = set()
        self._numbers = {self.root: ROOT}
        self._next = itertools.count(1)

    def note(self, kind, *args):
        """Put a line of one's own into the record."""
        self.operations.append((kind, *args))

    def change(self, name, function, path, args):
        if name != "close":
            self._count_down()
        existed = name == "open" and os.path.exists(path)
        offset = offset_of(args[0]) if name == "write" else None
        result = super().change(name, function, path, args)
        record = getattr(self, f"_{name}", None)
        if record:
            record(str(path), args, existed=existed, offset=offset, result=result)
        return result

    def _count_down(self):
        if self.kill_at is not None and self.counted >= self.kill_at:
            raise Killed
        self.counted += 1

    def _open(self, path, args, existed, **_):
        if args[1] & os.O_CREAT and not existed:
            self.note("create", *self._place(path), self._new(path))
        elif args[1] & os.O_TRUNC:
            self.note("truncate", self._numbers[path], 0)

    def _write(self, path, args, offset, result, **_):
        self.note("write", self._numbers[path], offset, bytes(args[1])[:result])

    def _ftruncate(self, path, args, **_):
        self.note("truncate", self._numbers[path], args[1])

    def _fsync(self, path, args, **_):
        self.sites.add(site())
        if site() != self.skip:
            self.note("sync", self._numbers[path])

    def _mkdir(self, path, args, **_):
        self.note("mkdir", *self._place(path), self._new(path))

    def _unlink(self, path, args, **_):
        self.note("unlink", *self._place(path))
        del self._numbers[path]

    def _rename(self, path, args, **_):
        number = self._numbers.pop(path)
        below = [old for old in self._numbers if old.startswith(f"{path}/")]
        self._numbers |= {args[1]: number} | {args[1] + old[len(path):]: self._numbers.pop(old) for old in below}
        self.note("rename", *self._place(path), os.path.basename(args[1]), number)

    def _exchange(self, path, args, result, **_):
        if result:
            numbers = self._numbers
            numbers[path], numbers[args[1]] = numbers[args[1]], numbers[path]
            self.note("exchange", *self._place(path), os.path.basename(args[1]))

    def _place(self, path):
        return self._numbers[os.path.dirname(path)], os.path.basename(path)

    def _new(self, path):
        self._numbers[path] = number = next(self._next)
        return number


def offset_of(fd):
    """Where the next write goes."""
    appends = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND
    return os.lseek(fd, 0, os.SEEK_END if appends else os.SEEK_CUR)


def site():
    """The functions of the storage that led to this call, innermost first: ``sync_folder<replace_file``."""
    frame, names = sys._getframe(1), []
    while frame:
        if any(frame.f_globals is vars(module) for module in MODULES):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "<".join(names)


class Failing(PassedOn):
    """Fails the call of number ``at`` among those that change something, with ``error``; the calls go to ``seen``.

    ``short`` lets writes take one byte less than given, as long as that is more than nothing. ``often``: all calls
    of the same name after that one fail as well.
    """

    def __init__(self, at=None, error=None, *, short=False, often=False):
        super().__init__()
        self.at = at
        self.error = error
        self.short = short
        self.often = often
        self.seen = []

    def change(self, name, function, path, args):
        if name != "close" and not (name == "open" and not args[1] & os.O_CREAT):
            self.seen.append(name)
            if self.at is not None and self._fails(name):
                raise OSError(self.error, os.strerror(self.error))
        if name == "write" and self.short and len(args[1]) > 1:
            args = args[0], args[1][:-1]
        return super().change(name, function, path, args)

    def _fails(self, name):
        number = len(self.seen) - 1
        return number == self.at or (self.often and number > self.at and name == self.seen[self.at])
