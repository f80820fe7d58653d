"""The id of a request: in the header X-Request-ID of its answer, in its error, and in every line of a log about it."""

import re
import secrets
from itertools import count
from typing import Any

#: Where the environ has the id, and the route, for the access log.
REQUEST_ID, ROUTE = "deploymetrics.request_id", "deploymetrics.route"
#: Where it has the code of the error that was answered.
CODE = "deploymetrics.code"
HEADER = "X-Request-ID"
_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


class RequestIds:
    """Gives each request of a process its id; that of a proxy in front where ``are_trusted`` says that there is one."""

    def __init__(self, are_trusted: bool) -> None:
        self.are_trusted = are_trusted
        self._process = secrets.token_hex(4)
        self._numbers = count(1)

    def assign(self, environ: dict[str, Any]) -> str:
        """Give a request its id, and return that."""
        id = environ.get("HTTP_X_REQUEST_ID") if self.are_trusted else None
        if id is None or not _FORM.fullmatch(id):
            id = f"{self._process}{next(self._numbers):08x}"
        environ[REQUEST_ID] = id
        return id


def request_id_of(environ: dict[str, Any]) -> str:
    """Return the request id in the environ of a request that has begun."""
    id: str = environ.get(REQUEST_ID, "-")
    return id
