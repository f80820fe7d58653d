"""Opening the storage that a URL names, and what the administrator is told where that cannot be done."""

from ...clock import Clock
from ...errors import SettingError, StorageError
from .. import Retention
from . import SqlStorage


def open_sql(
    url: str, clock: Clock, limits: Retention, *, wait: bool = False, seconds: float = 5.0, prepare: bool = True
) -> SqlStorage:
    """Return the storage; raises SettingError where the database cannot be used now, or has the tables of another
    release.

    With ``wait`` it gives StorageError until it can be used. ``seconds`` and ``prepare`` are as SqlStorage has them.
    """
    storage = SqlStorage(url, clock, limits, seconds=seconds, prepare=prepare)
    if not wait:
        try:
            storage.check()
        except StorageError as error:
            raise SettingError(f"The database {storage.address.text} cannot be used. {error.log}") from error
    return storage
