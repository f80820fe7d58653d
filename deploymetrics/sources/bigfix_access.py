"""How the BigFix server is reached: its address, the credentials and their sources, and the pinned certificate."""

import base64
import hashlib
import os
import re
import ssl
import stat
from typing import NamedTuple
from urllib.parse import urlsplit

from . import SourceError

DEFAULT_PORT = 52311
_BEARER = "Bearer "
_HIDDEN = "(secret)"


class Access(NamedTuple):
    """An address, and either user and password or a token."""

    server: str
    host: str
    port: int
    user: str
    password: str
    token: str

    def redacted(self, text):
        """The text without any form of the secrets, whoever repeated them."""
        pair = f"{self.user}:{self.password}" if self.password else ""
        forms = [self.password, self.token, *(base64.b64encode(pair.encode(code)).decode() for code in _codes(pair))]
        for form in sorted(filter(None, forms), key=len, reverse=True):
            text = text.replace(form, _HIDDEN)
        return text


def _codes(text):
    if not text:
        return []
    return ["utf-8", "latin-1"] if all(ord(char) < 256 for char in text) else ["utf-8"]


def read_access(settings, instance):
    """The Access of the settings and the credentials file; raises a permanent SourceError naming what is wrong."""
    host, port = _address(settings["BIGFIX_SERVER"])
    user, password, token = (settings[name] for name in ("BIGFIX_USER", "BIGFIX_PASSWORD", "BIGFIX_TOKEN"))
    if name := settings["BIGFIX_CREDENTIALS_FILE"]:
        user, password, token = _read_credentials(os.path.join(instance, name))
    if not (token or user and password):
        raise _refusal("There are no BigFix credentials; BIGFIX_CREDENTIALS_FILE says where they are.")
    if not all(part.isprintable() for part in (user, password, token)):
        raise _refusal("The BigFix credentials hold a character that no header can carry.")
    return Access(settings["BIGFIX_SERVER"], host, port, user, password, token)


def _refusal(detail):
    return SourceError(detail, permanent=True)


def _address(server):
    try:
        parts = urlsplit(server)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        raise _refusal("BIGFIX_SERVER is not an address.") from None
    if parts.scheme != "https" or not host or parts.username or parts.path not in ("", "/"):
        raise _refusal("BIGFIX_SERVER has to be of the form https://HOST:52311.")
    return host, port


def _read_credentials(path):
    """(user, password, token) of a file that nobody but its owner may read."""
    try:
        with open(path, encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
                raise _refusal("BIGFIX_CREDENTIALS_FILE has to be a file of this account with the mode 0600.")
            line = file.read(4096).rstrip("\r\n")
    except OSError as error:
        raise _refusal(f"BIGFIX_CREDENTIALS_FILE cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _refusal("BIGFIX_CREDENTIALS_FILE is not UTF-8.") from None
    if line.startswith(_BEARER):
        return "", "", line.removeprefix(_BEARER)
    user, colon, password = line.partition(":")
    if not colon:
        raise _refusal("BIGFIX_CREDENTIALS_FILE is neither OPERATOR:PASSWORD nor Bearer TOKEN.")
    return user, password, ""


class PinnedCertificate:
    """The library's trust policy for one certificate, known by its fingerprint, whatever name is in it."""

    def __init__(self, fingerprint, host, port, seconds):
        self._fingerprint = fingerprint.replace(":", "").lower()
        self._context = self._trusting(_presented(host, port, seconds))

    def is_pinned(self, address):
        """Always: no other certificate is ever accepted."""
        return True

    def ssl_context(self, address):
        """A context that trusts the pinned certificate and nothing else."""
        return self._context

    async def on_untrusted(self, address):
        """Never trusted on sight."""
        return False

    async def mismatch_error(self, address, backend):
        """The library's error for a certificate that is not the pinned one."""
        from bigfix_remote_session_relevance import ResultError

        message = "the certificate changed, or expired"
        return ResultError(kind="tls", code="pin_mismatch", backend=backend, message=message)

    def _trusting(self, pem):
        # No credentials went over the connection that this certificate was read from, and the handshakes to come are
        # checked against it by OpenSSL.
        found = _sha256(pem)
        if found != self._fingerprint:
            raise _refusal(f"The BigFix server has another certificate than BIGFIX_FINGERPRINT says: {_colons(found)}.")
        context = ssl.create_default_context(cadata=pem)
        context.check_hostname = False  # BigFix certificates seldom name the host; the fingerprint says more
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # BigFix has certificates of X.509 version 1
        return context


def fingerprint_of(host, port, seconds):
    """A sentence with the fingerprint of the certificate that the server presents; empty where that cannot be had."""
    try:
        found = _sha256(_presented(host, port, seconds))
    except SourceError:
        return ""
    return f" If {_colons(found)} is its fingerprint, set BIGFIX_FINGERPRINT."


def _presented(host, port, seconds):
    try:
        return ssl.get_server_certificate((host, port), timeout=seconds)
    except (OSError, ValueError) as error:
        raise SourceError(f"The BigFix server cannot be reached: {type(error).__name__}.") from None


def _sha256(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def _colons(digest):
    return ":".join(re.findall("..", digest)).upper()
