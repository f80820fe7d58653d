"""Parsing requests with gunicorn: from a buffer instead of a socket, more strictly, and where a body ends."""

import re

from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from . import limits

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?", re.DOTALL)


class ReceiveBuffer(Unreader):
    """The bytes that a client sent and no parser has read yet; a parser meets their end and does not wait for more."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return and remove all bytes in the buffer."""
        data = bytes(self.data)
        self.data.clear()
        return data

    def rewind(self) -> None:
        """Put back the bytes that a parser has taken and not used."""
        self.data[:0] = self.take_buffered()


class StrictRequest(Request):
    """gunicorn's request, which refuses two more things: transfer codings that are not decoded, and a missing Host.

    gunicorn knows ``Connection: close`` only where that stands alone, and Perl's clients send ``TE, close``.
    """

    def set_body_reader(self) -> None:
        """Choose the reader of the body; raises InvalidHeader and UnsupportedTransferCoding."""
        if self.version >= (1, 1) and not dict(self.headers).get("HOST"):
            raise InvalidHeader("HOST")
        for name, value in self.headers:
            if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
                raise UnsupportedTransferCoding(value)
            if name == "CONNECTION" and "close" in map(str.strip, value.lower().split(",")):
                self.force_close()
        super().set_body_reader()


def scan_chunks(data: bytearray, at: int) -> tuple[int, bool]:
    """Look for the end of a chunked body; return where to go on next time, and True if it ended or is not valid.

    ``at`` is where a chunk begins in ``data``. This tells only when to read; gunicorn's reader decodes the chunks.
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
