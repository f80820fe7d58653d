"""The connection to a BigFix server: which certificate is the right one, and how much of an answer is read."""

import hashlib
import os
import re
import ssl

import httpx

from .. import SourceError

MAX_ANSWER = 2**24


class BoundedTransport(httpx.AsyncHTTPTransport):
    """Reads at most MAX_ANSWER bytes of an answer, and none that is compressed, since few bytes can be made many."""

    async def handle_async_request(self, request):
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("the answer is compressed, which was not asked for")
        response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream):
        self._stream = stream

    async def __aiter__(self):
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MAX_ANSWER:
                raise httpx.DecodingError(f"the answer is larger than {MAX_ANSWER} bytes")
            yield part

    async def aclose(self):
        await self._stream.aclose()


def trusting(settings, instance, access):
    """The SSL context that accepts the certificate which the settings ask for and no other; raises SourceError."""
    if fingerprint := settings["BIGFIX_FINGERPRINT"]:
        return _pinned(fingerprint, _presented(access, settings["BIGFIX_CONNECT_SECONDS"]))
    name = settings["BIGFIX_CA_FILE"]
    try:
        return ssl.create_default_context(cafile=os.path.join(instance, name) if name else None)
    except OSError as error:
        raise SourceError(f"BIGFIX_CA_FILE cannot be used: {error.strerror}.", permanent=True) from None


def fingerprint_of(access, seconds):
    """A sentence with the fingerprint of the certificate that the server presents; empty where that cannot be had."""
    try:
        found = _sha256(_presented(access, seconds))
    except SourceError:
        return ""
    return f"If {_colons(found)} is its fingerprint, set BIGFIX_FINGERPRINT."


def _pinned(fingerprint, pem):
    # No credentials went over the connection that this certificate was read from, and the handshakes to come are
    # checked against it by OpenSSL.
    found = _sha256(pem)
    if found != fingerprint.replace(":", "").lower():
        message = f"The BigFix server has another certificate than BIGFIX_FINGERPRINT says: {_colons(found)}."
        raise SourceError(message, permanent=True)
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False  # BigFix certificates seldom name the host; the fingerprint says more
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # BigFix has certificates of X.509 version 1
    return context


def _presented(access, seconds):
    try:
        return ssl.get_server_certificate((access.host, access.port), timeout=seconds)
    except (OSError, ValueError) as error:
        raise SourceError(f"The BigFix server cannot be reached: {type(error).__name__}.") from None


def _sha256(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def _colons(digest):
    return ":".join(re.findall("..", digest)).upper()
