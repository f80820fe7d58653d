"""The HTTPS connection to a BigFix server: which certificate is accepted, and how much of an answer is read."""

import hashlib
import os
import re
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from ...version import VERSION
from .. import SourceError
from .endpoint import Endpoint

MAX_ANSWER = 2**24
USER_AGENT = f"deploymetrics/{VERSION}"


class BoundedTransport(httpx.AsyncHTTPTransport):
    """Reads answers up to MAX_ANSWER bytes, and no compressed ones, which could become many more."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        request.headers["User-Agent"] = USER_AGENT
        response = await super().handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MAX_ANSWER:
                raise httpx.DecodingError(f"the answer is larger than {MAX_ANSWER} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def ssl_context(settings: dict[str, Any], instance: str) -> ssl.SSLContext:
    """Return the SSL context for the certificate, or authorities, in the settings; raises a permanent SourceError."""
    if fingerprint := settings["BIGFIX_FINGERPRINT"]:
        return _pinned(fingerprint.replace(":", "").lower())
    name = settings["BIGFIX_CA_FILE"]
    try:
        return ssl.create_default_context(cafile=os.path.join(instance, name) if name else None)
    except OSError as error:
        raise SourceError(f"BIGFIX_CA_FILE cannot be used: {error.strerror}.", permanent=True) from None


def _pinned(fingerprint: str) -> ssl.SSLContext:
    """Return an SSL context whose handshake fails unless the certificate has the fingerprint.

    Who signed it, whom it names and when it expires say nothing beside that. No request is sent before.
    """

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            presented = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if presented != fingerprint:
                message = f"another certificate than BIGFIX_FINGERPRINT says, {_with_colons(presented)}"
                raise ssl.SSLCertVerificationError(1, message)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default one would read all certificates that nobody asks
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION  # which could bring another certificate
    context.sslobject_class = Pinned
    return context


def fingerprint_hint(endpoint: Endpoint, seconds: float) -> str:
    """Return a sentence with the BIGFIX_FINGERPRINT of the server's certificate; empty if it presents none."""
    try:
        pem = ssl.get_server_certificate((endpoint.host, endpoint.port), timeout=seconds)
    except (OSError, ValueError):
        return ""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    return f"If {_with_colons(digest)} is its fingerprint, set BIGFIX_FINGERPRINT."


def _with_colons(digest: str) -> str:
    return ":".join(re.findall("..", digest)).upper()
