"""Request ids: in the header X-Request-ID of an answer, in its error, and in every line of a log about a request."""

import re
import secrets
from itertools import count
from typing import Any

from .environ_keys import REQUEST_ID

HEADER = "X-Request-ID"
_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


class RequestIds:
    """Gives each request of a process an id; with ``are_trusted`` it keeps the one that a proxy in front gave it."""

    def __init__(self, are_trusted: bool) -> None:
        self.are_trusted = are_trusted
        self._process = secrets.token_hex(4)
        self._numbers = count(1)

    def assign(self, environ: dict[str, Any]) -> str:
        """Put the id of a request into its environ, and return it."""
        id = environ.get("HTTP_X_REQUEST_ID") if self.are_trusted else None
        if id is None or not _FORM.fullmatch(id):
            id = f"{self._process}{next(self._numbers):08x}"
        environ[REQUEST_ID] = id
        return id


def request_id_of(environ: dict[str, Any]) -> str:
    """Return the id of a request from its environ; ``-`` if none was assigned."""
    id: str = environ.get(REQUEST_ID, "-")
    return id
