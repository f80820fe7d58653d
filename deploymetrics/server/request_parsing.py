"""What a client sends, as gunicorn parses it: what came so far, what is refused beside, and where a body ends."""

import re

from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from . import limits

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?", re.DOTALL)


class ReceiveBuffer(Unreader):
    """What a client sent and nobody has read yet. Whoever reads on meets an end, and does not wait for more."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return all that is there."""
        data = bytes(self.data)
        self.data.clear()
        return data

    def rewind(self) -> None:
        """Put back what a parser has taken and not used."""
        self.data[:0] = self.take_buffered()


class StrictRequest(Request):
    """A request as gunicorn parses it, without what it lets pass: codings that nobody decodes, and no Host.

    gunicorn knows ``Connection: close`` only where that stands alone, and Perl's clients send ``TE, close``.
    """

    def set_body_reader(self) -> None:
        """Choose what reads the body; raises InvalidHeader and UnsupportedTransferCoding."""
        if self.version >= (1, 1) and not dict(self.headers).get("HOST"):
            raise InvalidHeader("HOST")
        for name, value in self.headers:
            if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
                raise UnsupportedTransferCoding(value)
            if name == "CONNECTION" and "close" in map(str.strip, value.lower().split(",")):
                self.force_close()
        super().set_body_reader()


def scan_chunks(data: bytearray, at: int) -> tuple[int, bool]:
    """Return where to look on in a chunked body, and True if it ends in ``data``, or breaks there.

    ``at`` is where a chunk begins. This says only when there is enough to read; gunicorn's reader says what it means.
    """
    while (end := data.find(b"\r\n", at)) >= 0:
        size = _CHUNK_SIZE.fullmatch(data, at, end)
        if size is None:
            return at, True
        length = int(size[1], 16)
        if length == 0:
            return at, data.find(b"\r\n\r\n", end) >= 0 or len(data) - end > limits.HEAD
        if len(data) < end + 2 + length + 2:
            return at, False
        at = end + 2 + length + 2
    return at, len(data) - at > limits.HEADER_FIELD
