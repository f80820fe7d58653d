"""What a failure of the database means: whether to try again, and what the caller is told."""

import psycopg

from ...errors import StorageError, StorageFullError

#: The transaction met another one; nothing of it was stored, and the same again may succeed.
_CONFLICTS = {"40001", "40P01"}
#: The server ends the connection, takes no writes since it is a standby now, or cannot use what it had prepared.
_GONE = {"0A000", "25006", "25P03", "25P04", "26000", "57P01", "57P02", "57P03", "57P05"}
_BUSY = {"55P03"}
_FULL = {"53100"}


class MaybeStored(StorageError):
    """The commit was not confirmed, so the write is there or not; a retry with ``If-Match`` is safe."""

    code = "maybe-stored"
    detail = (
        "The database did not confirm the write, which may have been stored. Retry with If-Match, or read it first."
    )


def is_conflict(error: psycopg.Error) -> bool:
    """Return True if the transaction was undone because of another one."""
    return error.sqlstate in _CONFLICTS


def is_disconnect(error: psycopg.Error) -> bool:
    """Return True if the connection is gone, or is of no use any more."""
    state = error.sqlstate
    # Without a state it is not the server who says so.
    return state in _GONE or state[:2] == "08" if state else isinstance(error, psycopg.OperationalError)


def as_ours(error: psycopg.Error) -> StorageError:
    """Return the project's own error for one after which nothing is stored."""
    log = f"{error.sqlstate or type(error).__name__}: {sentence(error)}"
    if error.sqlstate in _FULL:
        return StorageFullError(log=log)
    if error.sqlstate in _BUSY:
        return StorageError("Others have been writing this for too long; try again.", log=log)
    return StorageError(log=log)


def sentence(error: psycopg.Error) -> str:
    """Return what the server, or the driver, says; without details, which may hold values."""
    return " ".join((error.diag.message_primary or str(error)).split())
