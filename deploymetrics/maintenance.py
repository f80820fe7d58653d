"""What commands do with a whole storage of either kind: make, upgrade, describe, copy and verify it."""

from collections.abc import Iterator, Mapping
from itertools import count, zip_longest
from typing import Any

from marshmallow import ValidationError

from .accounts.records import ACCOUNTS
from .clock import Clock
from .collector.states import COLLECTOR
from .config.storage_url import FILES, check_storage, without_password
from .documents.expectations import EXPECTATIONS
from .documents.headlines import HEADLINES
from .documents.service import DOCUMENTS
from .errors import ConflictError, DamagedItemError, SettingError, StorageError, with_names
from .storage import Collection, Retention, Storage, extra_needed, open_storage
from .storage.files import format
from .upgrade import upgrade as upgrade_folder

#: What a copy has. Sessions and failed logins are left out: people log in again.
COPIED = (DOCUMENTS, EXPECTATIONS, HEADLINES, ACCOUNTS, COLLECTOR)


def init(folder: str, settings: Mapping[str, Any]) -> str:
    """Make the storage and return a sentence for the person; raises SettingError if it exists or cannot be made."""
    if settings["STORAGE"] != FILES:
        schema, address = _schema(settings)
        return str(schema.init(address))
    from . import create_app

    create_app(folder)
    return f"The instance folder is {folder}."


def upgrade(folder: str, settings: Mapping[str, Any]) -> str:
    """Upgrade the storage to this release and return a sentence for the person; raises SettingError."""
    if settings["STORAGE"] != FILES:
        schema, address = _schema(settings)
        return str(schema.upgrade(address))
    upgrade_folder(folder, Clock())
    return f"The instance folder {folder} has the format of this release."


def status(folder: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each fact about the storage; raises SettingError where it cannot be used."""
    if settings["STORAGE"] == FILES:
        format.check(folder)
        yield "storage", f"files in {folder}"
    else:
        schema, address = _schema(settings)
        yield from schema.status(address)
    store = open_storage(settings["STORAGE"], folder, Clock(), Retention(), make=False)
    store.check()
    yield "can be read", "yes"


def _schema(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the module for the schema of a database, and the Address in the setting STORAGE."""
    with extra_needed():
        from .storage.sql import address, schema
    return schema, address.Address(settings["STORAGE"])


def storage_at(url: str, folder: str, *, make: bool) -> Storage:
    """Open the storage of a URL, which may be ``files:FOLDER``; raises SettingError where there is none.

    A password in the URL is refused: other accounts see the arguments of a command.
    """
    if without_password(url) != url:
        raise SettingError("A password does not belong in a command, which others see; use PGPASSWORD or ~/.pgpass.")
    if url.startswith(FILES):
        folder, url = url.removeprefix(FILES) or folder, FILES
    try:
        check_storage(url)
    except ValidationError as error:
        raise SettingError(f"{url or 'An empty text'} names no storage: {with_names(error.messages)}") from error
    try:
        if url == FILES:
            format.check(folder)
        store = open_storage(url, folder, Clock(), Retention(), make=make or url != FILES)
        store.check()
    except StorageError as error:
        raise SettingError(f"{url if url != FILES else folder} cannot be used: {error.log or error.detail}") from error
    return store


def copy(source: Storage, target: Storage) -> Iterator[tuple[Collection, str, int, str]]:
    """Copy every version of every item; yield (collection, key, number of versions, problem or "") for each item.

    What the target has already stays, and is named where it is something else.
    """
    for collection in COPIED:
        for key in source.keys(collection):
            problem, numbers = "", count()  # which counts the versions while they are read
            versions = zip(source.history(collection, key, oldest_first=True), numbers)
            try:
                target.restore(collection, key, (item for item, _ in versions))
            except (ConflictError, DamagedItemError) as error:
                problem = error.detail
            yield collection, key, next(numbers), problem


def damages(store: Storage, *, repair: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yield (collection, key or file name, sentence) for everything damaged; ``repair`` rewrites damaged copies."""
    for collection in Collection.known:
        for name, sentence in store.verify(collection, repair=repair):
            yield collection.name, name, sentence


def differences(source: Storage, target: Storage) -> Iterator[tuple[Collection, str]]:
    """Yield (collection, key) for each item whose versions are not the same in both storages."""
    for collection in COPIED:
        for key in sorted({*source.keys(collection), *target.keys(collection)}):
            pairs = zip_longest(*(store.history(collection, key) for store in (source, target)))
            try:
                if any(not (old and new and old._replace(record=new.record) == new) for old, new in pairs):
                    yield collection, key
            except DamagedItemError:
                yield collection, key
