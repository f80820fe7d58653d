"""Errors of the database: which ones to try again, and their conversion to the project's own."""

import psycopg

from ...errors import StorageError, StorageFullError

#: The transaction met another one; nothing of it was stored, and the same again may succeed.
_CONFLICTS = {"40001", "40P01"}
#: The server ends the connection, takes no writes since it is a standby now, or cannot use what it had prepared.
_GONE = {"0A000", "25006", "25P03", "25P04", "26000", "57P01", "57P02", "57P03", "57P05"}
_BUSY = {"55P03"}
_FULL = {"53100"}


class MaybeStored(StorageError):
    """Raised for a commit that was not confirmed, so the write is stored or not; a retry with ``If-Match`` is safe."""

    code = "maybe-stored"
    detail = (
        "The database did not confirm the write, which may have been stored. Retry with If-Match, or read it first."
    )


def is_conflict(error: psycopg.Error) -> bool:
    """Return True if the transaction was undone because it met another one."""
    return error.sqlstate in _CONFLICTS


def is_disconnect(error: psycopg.Error) -> bool:
    """Return True if the connection is lost, or cannot be used any more."""
    state = error.sqlstate
    # Without a state it is not the server who says so.
    return state in _GONE or state[:2] == "08" if state else isinstance(error, psycopg.OperationalError)


def as_storage_error(error: psycopg.Error) -> StorageError:
    """Convert an error of the database, after which nothing is stored, to a StorageError."""
    log = f"{error.sqlstate or type(error).__name__}: {sentence(error)}"
    if error.sqlstate in _FULL:
        return StorageFullError(log=log)
    if error.sqlstate in _BUSY:
        return StorageError("Others have been writing this for too long; try again.", log=log)
    return StorageError(log=log)


def sentence(error: psycopg.Error) -> str:
    """Return the message of the server, or of the driver, without details, which may hold values."""
    return " ".join((error.diag.message_primary or str(error)).split())
