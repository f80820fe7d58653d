"""The connections of a process to the database: a pool of a few idle ones, and those with unconfirmed commits.

A frozen server answers nothing and closes nothing, so each wait for it has a deadline. After that the connection is
given up, and all idle ones with it; the next one goes to whichever server is the primary then.

**No commit is ever cancelled**: a cancelled wait for the synchronous standby would let others read what a failover
takes back. A commit that was not confirmed in time is left to the server, which keeps a process for it. While there is
one, only one thread at a time tries to write durably, and with ``UNCONFIRMED`` of them none. So a standby that stands
still for an hour uses up neither the threads here, which readers need, nor the connections there.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from ...errors import StorageError
from .. import T
from .address import Address, Host
from .connection import Connection
from .failures import as_storage_error, is_conflict, is_disconnect, sentence

IDLE = 8
UNCONFIRMED = 4
#: How often a transaction is tried that others, or the loss of the connection, undo before its commit.
TRIES = 6
_PREPARE_AFTER = 5  # as psycopg does by default


class _Request(threading.local):
    """The request that a thread answers: whether the database was silent in it. None where the thread answers none."""

    met_silence: bool | None = None


class Connections:
    """The pool of connections. ``check`` is called with each new connection, and raises if it cannot be used."""

    def __init__(
        self, address: Address, seconds: float, *, prepare: bool, check: Callable[[Connection], None] = lambda _: None
    ) -> None:
        self._address = address
        self._seconds = seconds
        self._prepare = prepare
        self._check = check
        self._pid = os.getpid()
        self._opened = 0
        self._server: Host | None = None
        self._lock = threading.Lock()
        self._trying = threading.Lock()
        self._idle: list[Connection] = []
        self._unconfirmed: list[Connection] = []
        self._request = _Request()

    # What callers do

    @contextmanager
    def waiting_once(self) -> Iterator[None]:
        """See Storage."""
        self._request.met_silence = False
        try:
            yield
        finally:
            self._request.met_silence = None

    def rows(self, statement: str, parameters: Any = ()) -> list[TupleRow]:
        """Return the rows of a statement that changes nothing; a lost connection is tried again once."""
        return self._run_read(lambda connection: connection.execute(statement, parameters, binary=True).fetchall())

    def find(self, statement: str, parameters: Sequence[str]) -> tuple[int, list[TupleRow]]:
        """Return (number of connections opened before, rows) of a frequent statement that changes nothing."""
        return self._run_read(lambda connection: (self._opened, connection.find(statement, parameters)))

    def _run_read(self, work: Callable[[Connection], T]) -> T:
        self._check_patience()
        for tried in 1, 2:
            try:
                with self._connection() as connection:
                    return work(connection)
            except psycopg.Error as error:
                if tried == 2 or not is_disconnect(error):
                    raise self._failure(error) from error
        raise AssertionError

    def transact(self, work: Callable[[Connection], T], *, durable: bool = True, once: bool = False) -> T:
        """Return ``work(connection)``, called in a transaction; again if that was undone by others, unless ``once``.

        Raises MaybeStored where its commit was not confirmed; whatever else is raised says that nothing is stored.
        """
        self._check_patience()
        for tried in range(1, TRIES + 1):
            has_begun = False
            try:
                with self._may_commit() if durable else nullcontext(), self._connection() as connection:
                    connection.begin(durable)
                    has_begun = True
                    result = work(connection)
                    connection.commit_surely()
                    return result
            except psycopg.Error as error:
                may_help = is_conflict(error) or is_disconnect(error) and tried == 1
                if not may_help or tried == TRIES or once and has_begun:
                    raise self._failure(error) from error
        raise AssertionError

    def _check_patience(self) -> None:
        """Raise StorageError if the database was silent before in the request that this thread answers."""
        if self._request.met_silence:
            raise StorageError(log="the database did not answer earlier in this request")

    def _failure(self, error: psycopg.Error) -> StorageError:
        if is_disconnect(error):
            self._note_silence()
        return as_storage_error(error)

    def _note_silence(self) -> None:
        """Have the other questions of the request that this thread answers, if it does, fail at once."""
        if self._request.met_silence is not None:
            self._request.met_silence = True

    # Where they come from and go to

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._take_connection()
        try:
            yield connection
        except BaseException as error:
            self._give_back(connection, is_useless=isinstance(error, psycopg.Error) and is_disconnect(error))
            raise
        self._give_back(connection)

    def _take_connection(self) -> Connection:
        if self._pid != os.getpid():  # a fork: those opened before belong to the parent, and stay open
            self._idle, self._unconfirmed, self._pid = [], [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> Connection:
        try:
            connection = Connection.connect(
                **self._address.conninfo(), autocommit=True, prepare_threshold=_PREPARE_AFTER if self._prepare else None
            )
        except psycopg.Error as error:
            self._note_silence()
            raise StorageError(log=f"no connection to the database: {sentence(error)}") from error
        connection.deadline = self._seconds
        connection.names = {}
        connection.server = connection.info.host, str(connection.info.port)
        connection.add_notice_handler(connection.note_warning)
        try:
            self._check(connection)
        except psycopg.Error as error:
            connection.close()
            raise as_storage_error(error) from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._opened += 1
            if connection.server != self._server:  # those that wait for the one before are not waited for
                self._server = connection.server
                self._address.prefer(self._server, before_others=True)
                _close_all(self._idle, self._unconfirmed)
        return connection

    def _give_back(self, connection: Connection, *, is_useless: bool = False) -> None:
        """Keep a usable connection among the idle ones; close others."""
        if connection.is_lost or connection.closed or is_useless:
            self._give_up(connection)
            return
        if not connection.is_committing and not connection.is_idle():
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK", prepare=False)
        is_usable = connection.is_idle() and not connection.is_committing and connection.server == self._server
        if is_usable and len(self._idle) < IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _give_up(self, connection: Connection) -> None:
        """Close a connection that failed; if its server is the current one, also the idle ones, and try it last.

        One whose commit was not confirmed stays open, among ``_unconfirmed``.
        """
        with self._lock:
            if connection.server == self._server:
                self._address.prefer(connection.server, before_others=False)
                _close_all(self._idle)
            if connection.is_lost and connection.is_committing and not connection.closed:
                self._unconfirmed.append(connection)
                return
        connection.close()

    @contextmanager
    def _may_commit(self) -> Iterator[None]:
        """Allow a durable transaction in the block; raises StorageError while too many commits are unconfirmed."""
        if not self._count_unconfirmed():
            yield
        elif self._count_unconfirmed() < UNCONFIRMED and self._trying.acquire(blocking=False):
            try:
                yield
            finally:
                self._trying.release()
        else:
            raise StorageError(
                "The database confirms no writes now; nothing of this one was stored.",
                log=f"{len(self._unconfirmed)} commits are not confirmed yet",
            )

    def _count_unconfirmed(self) -> int:
        """Close the connections whose commit was answered meanwhile; return the number of unconfirmed ones."""
        if self._unconfirmed:
            with self._lock:
                answered = [connection for connection in self._unconfirmed if connection.has_answered()]
                for connection in answered:
                    self._unconfirmed.remove(connection)
                _close_all(answered)
        return len(self._unconfirmed)


def _close_all(*lists: list[Connection]) -> None:
    for connections in lists:
        while connections:
            with suppress(IndexError, psycopg.Error):
                connections.pop().close()
