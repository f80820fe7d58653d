"""Leases in the database, for a deployment of many servers, by the database's clock.

A thread renews it. A holder that stood still for longer than LEASE_SECONDS may have lost it and not know: so each
acquiring makes the next number, and every write of the holder's storage checks its number within its own transaction.
"""

import logging
import os
import socket
import threading
import time
from contextlib import suppress

from ...errors import StorageError
from .. import Lease
from .connection import Connection
from .connections import Connections

#: So long after its last sign of life a holder has lost the lease; it gives one three times as often.
LEASE_SECONDS = 15
_log = logging.getLogger(__name__)

_MAKE = """
INSERT INTO leases (name, number, holder, note, expires) VALUES (%(name)s, 0, '', '', '-infinity')
ON CONFLICT DO NOTHING"""
_LOCK = "SELECT expires > clock_timestamp(), note FROM leases WHERE name = %(name)s FOR UPDATE"
_EXPIRES = f"clock_timestamp() + interval '{LEASE_SECONDS} seconds'"
_TAKE = f"""
UPDATE leases SET number = number + 1, holder = %(holder)s, note = '', expires = {_EXPIRES}
WHERE name = %(name)s RETURNING number"""
_MINE = "WHERE name = %(name)s AND number = %(number)s"
_RENEW = f"UPDATE leases SET expires = {_EXPIRES} {_MINE}"
_NOTE = f"UPDATE leases SET note = %(note)s {_MINE}"
_RELEASE = f"UPDATE leases SET expires = '-infinity' {_MINE}"
_HOLDER = "SELECT holder FROM leases WHERE name = %(name)s AND expires > clock_timestamp()"
#: Until the transaction ends nobody else can acquire it.
_CHECK = f"SELECT FROM leases {_MINE} FOR SHARE"


class SqlLease(Lease):
    """A lease that is a row of the table ``leases``; a thread renews it."""

    def __init__(self, connections: Connections, name: str) -> None:
        self.name = name
        self._connections = connections
        #: Was acquired and not released, so nothing is written without it.
        self.is_acquired = False
        self._number = 0
        self._renewed = 0.0
        self._stop = threading.Event()

    def acquire(self) -> bool:
        self.release()
        began = time.monotonic()
        self._number = self._connections.transact(self._take)
        self.is_acquired, self._renewed = bool(self._number), began
        if self.is_acquired:
            self._stop = threading.Event()
            threading.Thread(target=self._renew_often, args=(self._stop,), daemon=True).start()
        return self.is_acquired

    def _take(self, connection: Connection) -> int:
        """Take the lease if it is free; return its new number, or 0 while another process holds it."""
        parameters = {"name": self.name, "holder": f"{os.getpid()} on {socket.gethostname()}"}
        connection.execute(_MAKE, parameters)
        row = connection.execute(_LOCK, parameters).fetchone()
        if row is None or row[0]:
            return 0
        self.unfinished = row[1]
        new = connection.execute(_TAKE, parameters).fetchone()
        return int(new[0]) if new else 0

    def is_held(self) -> bool:
        return bool(self._number) and time.monotonic() - self._renewed < LEASE_SECONDS

    def note(self, text: str = "") -> None:
        with suppress(StorageError):  # it is the lease that counts
            self._update(_NOTE, note=text)

    def release(self) -> None:
        self._stop.set()
        if self._number:
            try:
                self._update(_RELEASE)
            except StorageError as error:
                _log.warning("the lease %s was not given back, and ends by itself: %s", self.name, error.log)
        self.is_acquired, self._number = False, 0

    def holder(self) -> str:
        for (holder,) in self._connections.rows(_HOLDER, {"name": self.name}):
            return str(holder)
        return ""

    def check(self, connection: Connection) -> None:
        """Raise StorageError unless this process holds the lease, and keep it until the transaction ends."""
        if not connection.execute(_CHECK, {"name": self.name, "number": self._number}).rowcount:
            self._number = 0
            raise StorageError("Another process has taken over; nothing of this was stored.", log="the lease is lost")

    def _renew_often(self, stop: threading.Event) -> None:
        while not stop.wait(LEASE_SECONDS / 3):
            began = time.monotonic()
            try:
                if not self._update(_RENEW):
                    _log.warning("another process has taken over the lease %s", self.name)
                    self._number = 0
                    return
                self._renewed = began
            except StorageError as error:
                _log.warning("the lease %s was not renewed: %s", self.name, error.log)

    def _update(self, statement: str, **values: str) -> bool:
        """Update the row of the lease; return True if this process still holds it."""
        parameters = {"name": self.name, "number": self._number, **values}
        return self._connections.transact(lambda each: each.execute(statement, parameters).rowcount == 1, durable=False)
