"""The storage contract. What is written here holds for every backend, and one test suite checks it on each.

**Items.** A storage keeps JSON objects by collection and key. A key is any text that the caller has checked; keys
that differ in a single byte are different items. A value is the text of a JSON object as bytes, compact and in UTF-8;
it belongs to the storage after a write, and comes back byte for byte. Each accepted write of an item gets the next
version, the time of the storage's clock and the name of its author. The order of versions is that of their numbers: a
time may be earlier than that of the version before, where the clock was set back.

**Writing** is one operation: ``write(collection, key, author, change)`` calls ``change(current, now)`` while no other
writer, in any thread, process or machine, can touch the item, and stores what it returns: bytes are the new value,
None deletes. Whatever ``change`` raises leaves the item as it was and reaches the caller, so every precondition lives
in ``change``. A backend may call it more than once before one call counts, and in another thread, though in the
context (contextvars) of the caller; so it has no effects of its own. It must not write. A writer waits for others for
some seconds at most, and then raises StorageError.

**Durability.** When ``write`` returns, the write survives ``kill -9`` and power loss. When it raises, or never
returns because the process ended, the write is wholly there or wholly not, and the value before it is intact;
StorageFullError and whatever ``change`` raised say that it is not there. Of a collection that is not ``durable`` a
power loss may forget any writes, and never the half of one.

**Reading** never waits for writers, never sees half a write and never one that a power loss could take back. A read
that starts after a write has returned, in any process, sees that write or a later one; that holds for ``items`` as
well. Reading goes on where nothing can be written.

**History.** In a collection with history every superseded value can be read by its version. The newest versions all
stay, up to a number; of older ones the last of each hour, then the last of each day, then none (see Retention). A
deletion is a version too. Versions count from 1 per key, go on after a deletion and never repeat. A collection
without history forgets, and starts again at 1 after a deletion.

**Leases.** ``lease(name)`` gives a Lease, which one process of a deployment has at a time. A storage that acquired one
writes only as long as it has it: a write after that, such as that of a process which stood still meanwhile, raises
StorageError and stores nothing.

**Errors.** StorageFullError for a full disk or quota, DamagedItemError for an item that cannot be read (it is never
taken for empty or overwritten, and other items are not affected), StorageError for all else. A driver's own errors do
not get out; they are the cause.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import msgspec

from ..config.storage_url import FILES
from ..errors import SettingError
from .listing import Entry as Entry
from .listing import Listing as Listing

if TYPE_CHECKING:
    from ..clock import Clock

T = TypeVar("T")
#: Versions are below this; items and imports with one that is not are refused.
VERSION_LIMIT = 10**17


class Record(msgspec.Struct, frozen=True):
    """The base of records, which are the decoded values of items; the first field of a subclass is the item's key."""

    def key(self) -> str:
        """Return the key of the record's item."""
        key: str = getattr(self, self.__struct_fields__[0])
        return key


class Collection:
    """A named collection of items of one kind; ``known`` are all collections.

    ``record`` is a Record, or another Struct with a method ``key()``. ``history`` keeps superseded versions.
    ``durable`` syncs each write. ``copies`` asks a backend that can to keep, beside its own data, a file with the
    current value of each item for people and other programs.
    """

    known: ClassVar[list["Collection"]] = []

    def __init__(
        self, name: str, record: type[Any], *, history: bool = False, durable: bool = True, copies: bool = False
    ) -> None:
        self.known.append(self)
        self.name = name
        self.record = record
        self.history = history
        self.durable = durable
        self.copies = copies
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(record).decode


class Item(NamedTuple):
    """One version of an item. A deletion has neither ``value`` nor ``record``.

    ``record`` is the value decoded, ``changed_at`` a precise text, and ``revision`` differs for every accepted write.
    ``kept`` marks a version that thinning keeps as if it were the last of its hour.
    """

    key: str
    value: bytes | None
    record: Any
    version: int
    changed_at: str
    changed_by: str
    revision: str
    deleted: bool = False
    kept: bool = False

    @property
    def size(self) -> int:
        """The size of the value in bytes."""
        return len(self.value or b"")


class Retention(NamedTuple):
    """How long superseded versions stay.

    The newest ``versions`` stay; of older ones the last of each hour for ``hourly_days`` days, and the last of each day
    for ``daily_days`` days. Deletions, and versions that are ``kept``, count as the last of their hour.
    """

    versions: int = 1000
    hourly_days: int = 60
    daily_days: int = 800


class Lease(ABC):
    """A lease, which one process of a deployment holds at a time, until the process releases it or ends.

    ``unfinished`` is, once the lease is acquired, the last note of the holder before; empty if there was none.
    """

    unfinished = ""

    @abstractmethod
    def acquire(self) -> bool:
        """Acquire the lease if nobody holds it, without waiting; return True if this process holds it now."""

    @abstractmethod
    def is_held(self) -> bool:
        """Return True while this process holds the lease, as far as it knows."""

    @abstractmethod
    def note(self, text: str = "") -> None:
        """Store a note about what the holder is doing, for the next holder."""

    @abstractmethod
    def release(self) -> None:
        """Give the lease back if this process holds it."""

    @abstractmethod
    def holder(self) -> str:
        """Return the process that holds the lease, as text that begins with its id; empty if none does."""


#: What a write stores: called with the current Item or None and the time; bytes, or None to delete.
Change = Callable[[Item | None, datetime], bytes | None]


class Storage(ABC):
    """The operations of every storage; the docstring of the module is their contract."""

    #: True where a read waits for another process, such as a database.
    reads_wait = False

    @abstractmethod
    def check(self) -> None:
        """Raise StorageError if the storage cannot be read at all: then no item is missing, but the disk."""

    @abstractmethod
    def read(self, collection: Collection, key: str) -> Item | None:
        """Return the current Item of a key, or None."""

    def read_together(
        self, work: Callable[[], T], *wanted: tuple[Collection, str | None], not_before: float | None = None
    ) -> T:
        """Call ``work``, and read the ``wanted`` items that it needs with one question; return what it returns.

        An item is wanted by its collection and key; None in the place of a key is the list of the collection. What
        ``work`` reads of them, the first time, is not older than this call, or than ``not_before`` (by perf_counter()),
        when the request had come. ``work`` may be called twice, the first time with outdated items: its other effects
        have to bear that. Raises StorageError.
        """
        return work()

    def waiting_once(self) -> AbstractContextManager[None]:
        """Return a context, for one request, in which what is silent is waited for once only.

        What this thread asks after it raises StorageError at once. Where nothing is waited for it does nothing.
        """
        return nullcontext()

    @abstractmethod
    def write(
        self, collection: Collection, key: str, author: str, change: Change, *, kept: bool = False
    ) -> Item | None:
        """Store what ``change`` returns, and return the new Item, or None after a deletion."""

    @abstractmethod
    def items(self, collection: Collection) -> Listing:
        """Return the Listing of all items of a collection."""

    @abstractmethod
    def history(
        self, collection: Collection, key: str, before: int | None = None, *, oldest_first: bool = False
    ) -> Iterator[Item]:
        """Yield the versions of a key below ``before``, newest first by default; the current one and deletions too.

        They are read as they are asked for, so a long history needs little memory; errors come in the same way.
        """

    @abstractmethod
    def version(self, collection: Collection, key: str, version: int) -> Item | None:
        """Return one version of a key, which may be a deletion, or None."""

    @abstractmethod
    def keys(self, collection: Collection) -> list[str]:
        """Return every key with a current item or a history, in order; also one whose first write broke off."""

    @abstractmethod
    def restore(self, collection: Collection, key: str, items: Iterable[Item], *, dry_run: bool = False) -> bool:
        """Store Items, oldest first, as all versions of a key, wholly or not at all; return False if it has them.

        Raises ConflictError, and changes nothing, for a key that has other versions. ``dry_run`` changes nothing.
        """

    @abstractmethod
    def purge(self, collection: Collection, key: str, author: str, version: int | None = None) -> int:
        """Remove one version of a key, or all of them, for good; return how many were removed.

        Where the current version is removed the item is deleted, by ``author``. Such a deletion stays, so that versions
        do not repeat.
        """

    @abstractmethod
    def trim(self, collection: Collection, key: str, now: datetime | None = None) -> int:
        """Remove the versions of a key that the Retention does not keep.

        Returns how many files or rows were removed or written anew; what stays of a file is written before it goes.

        Their age is counted up to ``now``, which is the clock's time where it is None.
        Writes do the same a little at a time; this is for lowered limits and for keys that nobody writes any more.
        A copy that a crash left behind is made right, too.
        """

    @abstractmethod
    def lease(self, name: str) -> Lease:
        """Return the Lease of a name, which is not acquired yet."""

    @abstractmethod
    def verify(self, collection: Collection, *, repair: bool = False) -> Iterator[tuple[str, str]]:
        """Yield (key or file name, sentence) for everything in a collection that is damaged, missing or misplaced.

        ``repair`` rewrites copies that are not those of the current items.
        """


def open_storage(
    url: str, instance: str, clock: "Clock", retention: Retention, *, make: bool = True, **options: Any
) -> Storage:
    """Open the storage of a URL.

    ``files:`` keeps files of JSON lines in the folder ``instance``, and ``postgresql+psycopg://…`` rows in a database,
    with ``options`` as ``open_sql`` has them.
    ``make`` makes what is missing; without it a storage that is gone gives StorageError until it is back.
    """
    if url == FILES:
        from .files import FileStorage

        return FileStorage(instance, clock, retention, make=make)
    with extra_needed():
        from .sql import open_sql
    return open_sql(url, clock, retention, wait=not make, **options)


@contextmanager
def extra_needed() -> Iterator[None]:
    """Raise SettingError if a package that the database needs cannot be imported in the block."""
    try:
        yield
    except ModuleNotFoundError as error:
        detail = f"STORAGE needs {error.name}, which comes with: pip install 'deploymetrics[postgresql]'"
        raise SettingError(detail) from error
