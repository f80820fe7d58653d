"""The address of the BigFix server, and the credentials for it."""

import os
import stat
from base64 import b64encode
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from .. import SourceError

DEFAULT_PORT = 52311
_BEARER = "Bearer "
_HIDDEN = "(secret)"


class Endpoint(NamedTuple):
    """The address of a BigFix server, with either user and password or a token."""

    server: str
    host: str
    port: int
    user: str
    password: str
    token: str

    def redact(self, text: str) -> str:
        """Replace every form of the secrets in a text."""
        for form in self._forms():
            text = text.replace(form, _HIDDEN)
        return text

    def is_repeated_in(self, answer: Any) -> bool:
        """Return True if a text, or a text in nested lists, holds a secret."""
        if isinstance(answer, list | tuple):
            return any(map(self.is_repeated_in, answer))
        return isinstance(answer, str) and self.redact(answer) != answer

    def _forms(self) -> list[str]:
        """Return the forms in which a server may repeat the secrets, the longest first."""
        forms = {self.password, self.token}
        if self.password:  # in a Basic header it is UTF-8 or, as far as that goes, Latin-1
            pair = f"{self.user}:{self.password}"
            forms |= {b64encode(pair.encode(code, "replace")).decode() for code in ("utf-8", "latin-1")}
        forms |= {" ".join(form.split()) for form in forms} | {quote(form, safe="") for form in forms}
        return sorted(filter(None, forms), key=len, reverse=True)


def read_endpoint(settings: dict[str, Any], instance: str) -> Endpoint:
    """Return the Endpoint in settings and credentials file; raises a permanent SourceError naming what is wrong."""
    url = urlsplit(settings["BIGFIX_SERVER"])
    user, password, token = (settings[name] for name in ("BIGFIX_USER", "BIGFIX_PASSWORD", "BIGFIX_TOKEN"))
    if name := settings["BIGFIX_CREDENTIALS_FILE"]:
        user, password, token = _read_credentials(os.path.join(instance, name))
    if not (token or user and password):
        raise _permanent_error("There are no BigFix credentials; BIGFIX_CREDENTIALS_FILE says where they are.")
    if not all(part.isprintable() for part in (user, password, token)):
        raise _permanent_error("The BigFix credentials hold a character that no header can carry.")
    return Endpoint(settings["BIGFIX_SERVER"], url.hostname or "", url.port or DEFAULT_PORT, user, password, token)


def _permanent_error(detail: str) -> SourceError:
    return SourceError(detail, permanent=True)


def _read_credentials(path: str) -> tuple[str, str, str]:
    """Read (user, password, token) from a file that nobody but its owner may read."""
    try:
        # The collector itself looks, too: a pipe that nobody writes to must not stop it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
                raise _permanent_error("BIGFIX_CREDENTIALS_FILE has to be a file of this account with the mode 0600.")
            line = file.read(4096).rstrip("\r\n")
    except OSError as error:
        raise _permanent_error(f"BIGFIX_CREDENTIALS_FILE cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _permanent_error("BIGFIX_CREDENTIALS_FILE is not in UTF-8.") from None
    if line.startswith(_BEARER):
        return "", "", line.removeprefix(_BEARER)
    user, colon, password = line.partition(":")
    if not colon:
        raise _permanent_error("BIGFIX_CREDENTIALS_FILE is neither OPERATOR:PASSWORD nor Bearer TOKEN.")
    return user, password, ""
