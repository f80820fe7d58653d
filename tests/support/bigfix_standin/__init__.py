"""A stand-in BigFix server behind TLS with a self-signed certificate, whose behaviour a test switches."""

import json
import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from launching import forked
from waiting import SECONDS

from .serving import serve


def make_certificate(folder, name, address=None, signer=None):
    """(certificate file, key file, SHA-256 fingerprint) of a certificate, for an address or for none.

    It is signed by itself, or by ``signer``, which is such a triple; then the file has the signer's certificate, too.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    issuer, signing_key, chain = subject, key, b""
    if signer:
        chain = signer[0].read_bytes()
        issuer = x509.load_pem_x509_certificate(chain).subject
        signing_key = serialization.load_pem_private_key(signer[1].read_bytes(), None)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(signing_key, hashes.SHA256())
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + chain)
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return *files, certificate.fingerprint(hashes.SHA256()).hex()


class StandIn:
    """The server as a process on a port of its own; ``behave`` switches it, ``requests`` tells what it was asked."""

    def __init__(self, folder, certificate):
        self.folder = folder
        self.certfile, self.keyfile, self.fingerprint = certificate
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.socket.getsockname()[1]}"
        self.behave()
        self.process = forked(serve, self.socket, self.certfile, self.keyfile, folder)
        self.process.start()

    def behave(self, answers=None, **behaviour):
        """Behave so from now on, and forget the requests up to now."""
        (self.folder / "requests.jsonl").write_text("")
        draft = self.folder / "behaviour.draft"
        draft.write_text(json.dumps({"answers": answers or {}, **behaviour}))
        shutil.move(draft, self.folder / "behaviour.json")

    def requests(self):
        """[method, path, content type, user agent] of each request since ``behave``."""
        return [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]

    def release(self):
        """Let the slow answers go."""
        os.utime(self.folder / "behaviour.json")

    def stop(self):
        self.release()
        self.process.terminate()
        self.process.join(SECONDS)
        self.socket.close()
