"""The list of a collection, kept in memory, and updated by the keys that were written since.

A list looks at the keys that writers noted since (see changes.py), and again at those whose line was still being
written then. A backup may be put in place under a running server, too; so now and then lists look whether all is as it
was, a part of it each.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ...errors import DamagedItemError, StorageError
from .. import Collection, Listing, file_names
from ..list_blocks import Blocks
from . import disk, locations
from .changes import Changes
from .locations import Location, location_of, read_value
from .version_log import VersionLog, is_unchanged

_log = logging.getLogger(__name__)
#: After what time lists begin to look whether all is as it was, and at how many keys each of them looks for that.
RECHECK_SECONDS = 30.0
RECHECKED_KEYS = 256
_SETTLED_NS = 2 * 10**9
LONG_SECONDS = 1.0
#: What a list knows is saved when it read so many logs since, and a quarter of all.
SAVED_KEYS = 1000
#: A process that reads one key after the other takes over what was saved when it has met so many unknown ones.
UNKNOWN_KEYS = 100


class FolderListing:
    """Keeps the list of one collection up to date; one for each process, shared by its threads.

    Its logs are in ``folder``; ``log`` is a function that gives the VersionLog of a key.
    """

    def __init__(self, collection: Collection, folder: str, log: Callable[[str], VersionLog]) -> None:
        self.collection = collection
        self.folder = folder
        self.log = log
        self._changes = Changes(folder)
        self._lock = threading.Lock()
        self._places: dict[str, Location] = {}
        self._damaged: set[str] = set()
        self._again: set[str] = set()  # keys to be looked at whatever changed
        self._rechecks: list[Location] = []  # what is still to be compared with the disk
        self._rechecked = 0.0
        self._folder_time = 0
        self._is_known = False
        self._is_loaded = False
        self._unknown = 0
        self._unsaved = 0  # how many logs were read since
        self._blocks = Blocks[Location](self._read)  # the places, without deletions
        self._unlisted: dict[str, Location | None] = {}  # what is to be changed in there
        self._listing = self._blocks.listing(self._damaged)

    def current(self) -> Listing:
        """Return the Listing, which includes every write by any process that has returned."""
        with self._lock:
            changed = self._changes.new()
            # What raises in here may leave the list half looked at; then the rest is looked at the next time.
            if changed is None or not self._is_known:
                self._is_known, self._folder_time = False, 0
                self._load()
                if not self._blocks.blocks:
                    self._unlisted |= self._places
                self._look_around()
                self._recheck(len(self._rechecks))
                self._is_known = True
            else:
                self._again |= changed
                if not self._rechecks and time.monotonic() - self._rechecked >= RECHECK_SECONDS:
                    self._look_around()
                self._recheck(RECHECKED_KEYS)
            if self._again:
                self._look_at(list(self._again))
            if self._unlisted:
                self._blocks.apply(self._unlisted)
                self._unlisted = {}
                self._listing = self._blocks.listing(self._damaged)
            if self.collection.durable and self._unsaved >= max(SAVED_KEYS, len(self._listing.items) // 4):
                self._unsaved = 0
                locations.save(self.folder, self._places.values())
            return self._listing

    def find(self, key: str) -> Location | None:
        """Return the Location of a key's newest version when a list looked last, in any process, or None."""
        if key not in self._places and not self._is_loaded:
            self._unknown += 1
            if self._unknown >= UNKNOWN_KEYS and self._lock.acquire(blocking=False):  # not while a list is being made
                try:
                    self._load()
                finally:
                    self._lock.release()
        return self._places.get(key)

    def _load(self) -> None:
        """Load the Locations that another process saved, once: twice would take twice the memory for a while."""
        if self.collection.durable and not self._is_loaded:
            self._places.update((location.key, location) for location in locations.load(self.folder))
        self._is_loaded = True

    def _look_around(self) -> None:
        """Begin to compare all Locations with the disk, and find keys that are not known."""
        self._rechecks, self._rechecked = [*self._places.values()], time.monotonic()
        with suppress(FileNotFoundError):
            changed = os.stat(self.folder).st_mtime_ns
            if changed != self._folder_time:
                self._folder_time = changed if changed < time.time_ns() - _SETTLED_NS else 0
                self._again |= file_names.keys_of(os.listdir(self.folder)) - self._places.keys()

    def _recheck(self, number: int) -> None:
        """Compare so many of the ``_rechecks`` with the disk; outdated ones go to ``_again``."""
        if not self._rechecks:
            return
        part = self._rechecks[-number:]
        del self._rechecks[-number:]
        with suppress(FileNotFoundError), disk.opened(f"{self.folder}/.", os.O_DIRECTORY) as fd:
            part = [place for place in part if not is_unchanged(place.path, place.signature, fd)]
        self._again.update(location.key for location in part)

    def _look_at(self, keys: list[str]) -> None:
        """Update the Locations of some keys from their logs."""
        began = time.monotonic()
        self._unsaved += len(keys)
        for key in keys:
            self._look_at_one(key)
        if (seconds := time.monotonic() - began) > LONG_SECONDS:
            _log.warning("looking at %d items of %s took %.1f s", len(keys), self.collection.name, seconds)

    def _look_at_one(self, key: str) -> None:
        """Update the Location of a key, and look at it again the next time if a version is still being written."""
        try:
            newest = self.log(key).newest()
        except DamagedItemError:
            place, damaged = None, {key}
        else:
            place, damaged = location_of(newest), set[str]()
            if not newest.is_pending:
                self._again.discard(key)
        if place != self._places.get(key) or damaged != self._damaged & {key}:
            self._damaged = self._damaged - {key} | damaged
            self._unlisted[key] = place
            if place:
                self._places[key] = place
            else:
                self._places.pop(key, None)

    def _read(self, locations: Iterable[Location]) -> Iterator[bytes]:
        with disk.storage_errors("list"):
            for location in locations:
                try:
                    value = read_value(location, self.log(location.key))
                except (OSError, StorageError):
                    self._again.add(location.key)  # the next list shall know what is wrong
                    raise
                yield value
