"""What the server refuses by itself, before the application sees a request: answered as a problem document too."""

import secrets
from http import HTTPStatus

import msgspec

from .errors import DeploymetricsError

_SENTENCE = "Something went wrong on the server. Its log has more under this request id."
# By status, the code and the sentence; gunicorn's own words would repeat what was sent.
_SAID = {
    400: ("malformed-request", "The request is not as HTTP says."),
    403: ("connection-refused", "A request that comes this way is not taken."),
    414: ("uri-too-long", "The request line is too long."),
    417: ("expectation-failed", "The Expect header asks for something else than 100-continue."),
    431: ("headers-too-large", "The header fields are too large or too many."),
    501: ("transfer-coding", "The Transfer-Encoding is not one that is read."),
}


class Overheard:
    """Takes gunicorn's own answer in the place of the socket, so that its status can be given in another form."""

    def __init__(self, sock):
        self._sock = sock
        self._answer = b""

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def sendall(self, data):
        """Keep what would have been sent."""
        self._answer += data

    @property
    def status(self):
        """The status of the answer; 500 where there was none."""
        return HTTPStatus(int(self._answer.split(b" ", 2)[1])) if self._answer else HTTPStatus.INTERNAL_SERVER_ERROR


def refusal(status):
    """(the whole HTTP answer of a problem document in JSON, its request id), the latter None below 500."""
    request_id = secrets.token_hex(8) if status >= 500 else None
    code, detail = _SAID.get(status, (DeploymetricsError.code, _SENTENCE))
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, "code": code}
    body = msgspec.json.encode(problem | ({"requestId": request_id} if request_id else {}))
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Cache-Control: no-store\r\nVary: Accept\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body, request_id
