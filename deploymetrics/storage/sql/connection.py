"""A connection to the database, with a deadline for each wait, and commits that the server confirms."""

import select
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import psycopg
from psycopg import generators, pq, waiting
from psycopg.adapt import Transformer
from psycopg.rows import TupleRow

from .address import Host
from .failures import MaybeStored, sentence


class Connection(psycopg.Connection[TupleRow]):
    """A connection to the database; ``deadline`` is the limit of each wait in seconds."""

    deadline = 5.0
    #: A wait was broken off, so the next answer of the server would be that to another question.
    is_lost = False
    is_committing = False
    warned = ""
    #: What the server calls the statements that it has prepared for ``find``.
    names: dict[str, bytes]
    server: Host = ("", "")
    #: For what a commit waits by default: a standby that has it on its disk, or one that has applied it, …
    waits_for = "on"

    def __del__(self, *_: Any) -> None:
        """Do not close the connection: libpq does that with the process that opened it, and not with a fork."""

    @property
    def lock_timeout(self) -> int:
        """The milliseconds for which the server waits for a lock, which end before our deadline."""
        return int(self.deadline * 800)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait as psycopg does, and never tell the server to cancel what it is doing."""
        try:
            return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout or self.deadline)
        except BaseException:
            self.is_lost = True
            raise

    def find(self, statement: str, parameters: Sequence[str]) -> list[TupleRow]:
        """Return the rows of a statement with the parameters $1, $2, …, in half of the time that a cursor takes."""
        values = [text.encode() for text in parameters]
        if self.prepare_threshold is None:
            self.pgconn.send_query_params(statement.encode(), values, result_format=pq.Format.BINARY)
        else:
            self.pgconn.send_query_prepared(self.prepared_name(statement), values, result_format=pq.Format.BINARY)
        (result,) = self.wait(generators.execute(self.pgconn))
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        rows = Transformer(self)
        rows.set_pgresult(result)
        return rows.load_rows(0, result.ntuples, tuple)

    def prepared_name(self, statement: str) -> bytes:
        """Return the name of a statement that the server has prepared; prepare it the first time."""
        name = self.names.get(statement)
        if name is None:
            # By what it is: behind a pool that is not known of, another process may have prepared it.
            name = f"find_{blake2b(statement.encode(), digest_size=8).hexdigest()}".encode()
            self.execute(f"PREPARE {name.decode()} AS {statement}", prepare=False)
            self.names[statement] = name
        return name

    def note_warning(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """Note a warning of the server, which may say that it committed without waiting for the standby."""
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warned = diagnostic.message_primary or "a warning"

    def begin(self, durable: bool) -> None:
        """Begin a transaction, in which waits for other writers end before the deadline.

        Warnings are sent, whatever the account has: without one a commit is taken for confirmed.
        """
        # Where the administrator has standbys apply it first, that stays: others may read from those.
        level = self.waits_for if durable and self.waits_for == "remote_apply" else "on" if durable else "off"
        settings = {"lock_timeout": self.lock_timeout, "synchronous_commit": level, "client_min_messages": "warning"}
        set_all = "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())
        self.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED; {set_all}", prepare=False)

    def commit_surely(self) -> None:
        """Commit; raises MaybeStored unless the server confirms the commit, or says that it failed."""
        self.warned, self.is_committing = "", True
        try:
            status = self.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            if error.diag.severity_nonlocalized == "ERROR":  # else the server breaks off, at whatever point that was
                raise
            raise MaybeStored(log=f"commit: {sentence(error)}") from error
        if self.warned or status != "COMMIT":
            raise MaybeStored(log=f"commit: {self.warned or status}")
        self.is_committing = False

    def is_idle(self) -> bool:
        """Return True if the server is neither in a transaction nor in the middle of an answer."""
        return not self.is_lost and self.pgconn.transaction_status == pq.TransactionStatus.IDLE

    def has_answered(self) -> bool:
        """Return True if the server sent something, or closed the connection."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))
