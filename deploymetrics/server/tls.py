"""TLS: certificate and key, and the ciphers of Mozilla's intermediate list.

https://wiki.mozilla.org/Security/Server_Side_TLS
Certificate and key are those that were checked, whatever their files hold later.
"""

import os
import ssl
from pathlib import Path

from ..errors import SettingError

#: Of TLS 1.2; those of TLS 1.3 are all good. Without DHE, which needs parameters of its own and serves no client alone.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


class Copy:
    """A copy of a file in memory; ``path`` leads there in this process, and in workers that it starts.

    So a worker that starts later loads the certificate and the key that were checked, whatever the files hold by then.
    """

    def __init__(self, original: Path) -> None:
        self._file = open(os.memfd_create("deploymetrics"), "wb", buffering=0)
        self._file.write(original.read_bytes())
        self.path = f"/proc/self/fd/{self._file.fileno()}"


def tls_files(instance: Path, certfile: str, keyfile: str) -> tuple[Copy, ...]:
    """Return copies of certificate and key, or none without TLS; raises SettingError unless they go together."""
    if bool(certfile) != bool(keyfile):
        raise SettingError("CERTFILE and KEYFILE go together; one of them is not set.")
    if not certfile:
        return ()
    cert, key = instance / certfile, instance / keyfile
    copies = []
    for name, path in (("CERTFILE", cert), ("KEYFILE", key)):
        try:
            copies.append(Copy(path))
        except OSError as error:
            raise SettingError(f"{name} {path} cannot be read: {error.strerror}.") from error
    try:
        tls_context(*(copy.path for copy in copies))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingError(f"The key {key} is not that of the certificate {cert}.") from error
        detail = f"CERTFILE {cert} and KEYFILE {key} are not a certificate and its key in PEM, without a password."
        raise SettingError(detail) from error
    return tuple(copies)


def tls_context(certfile: str, keyfile: str) -> ssl.SSLContext:
    """Return the SSL context of a server with this certificate and key, in PEM without a password; raises SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(CIPHERS))
    context.set_alpn_protocols(["http/1.1"])
    # Each worker would have keys of its own for tickets, and keep them as long as it lives.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certfile, keyfile, password=lambda: "")  # else OpenSSL would ask on the terminal
    return context
