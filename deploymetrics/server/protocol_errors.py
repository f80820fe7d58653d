"""Errors of HTTP itself, which the server refuses before the application: answered as problem documents too."""

import secrets

import msgspec

from ..errors import DeploymetricsError, NoMemoryError
from ..http.request_ids import HEADER
from ..http.responses import PRIVATE

# By status, the code and the sentence; gunicorn's own words would repeat what was sent.
_PROBLEMS = {
    400: ("malformed-request", "The request is not as HTTP says."),
    403: ("connection-refused", "A request that comes this way is not taken."),
    414: ("uri-too-long", "The request line is too long."),
    417: ("expectation-failed", "The Expect header asks for something else than 100-continue."),
    431: ("headers-too-large", "The header fields are too large or too many."),
    501: ("transfer-coding", "The Transfer-Encoding is not one that is read."),
}


class StatusReader:
    """Stands in for the socket while gunicorn writes its own error page, to learn the status."""

    def __init__(self) -> None:
        self.status = 500

    def gettimeout(self) -> float:
        return 0.0  # as a socket that never blocks

    def sendall(self, data: bytes) -> None:
        self.status = int(data.split(b" ", 2)[1])


def error_answer(status: int) -> tuple[str, dict[str, str], bytes, str]:
    """Return (status line, headers, body, request id) of an error answer, a problem document in JSON."""
    request_id = secrets.token_hex(8)
    if status == NoMemoryError.status:
        error: DeploymetricsError = NoMemoryError()
    else:
        code, detail = _PROBLEMS.get(status, (None, None))
        error = DeploymetricsError(detail, code=code)
        error.status = status
    body = msgspec.json.encode(error.problem(request_id))
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        HEADER: request_id,
        **error.headers,
        **PRIVATE,
    }
    return f"{error.status} {error.title}", headers, body, request_id
