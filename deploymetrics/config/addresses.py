"""Hosts, ports and URLs in settings: one rule for all of them, so that what no request could reach stops the start."""

import re
import socket
from ipaddress import AddressValueError, IPv6Address
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields

from ..schemas import whole_number

#: A path such as /bigfix: plain segments, and nothing that reads as another host or leads upwards.
PATH = r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]{1,64}){0,8}"
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\.?\Z){_LABEL}(?:\.{_LABEL})*\.?")
_URL = re.compile(r"(https?)://(\[[^]]*\]|[^/?#:@\[\]]*)(?::([^/?#]*))?([!-~]*)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class _URLParts(NamedTuple):
    """A URL without a name and password; ``port`` is empty where it has none, ``rest`` begins with the path."""

    scheme: str
    host: str
    port: str
    rest: str


def is_host(text: str) -> bool:
    """Return True for a name of DNS or Windows in ASCII, an IPv4 address, or an IPv6 address in brackets."""
    if text.startswith("[") and text.endswith("]") and "%" not in text:
        try:
            return bool(IPv6Address(text[1:-1]))
        except AddressValueError:
            return False
    return bool(_NAME.fullmatch(text)) and (not text.rpartition(".")[2].isdigit() or _is_ipv4(text))


def _is_ipv4(text: str) -> bool:
    try:
        return bool(socket.inet_aton(text))
    except OSError:
        return False


def is_port(text: str) -> bool:
    """Return True for the number of a port that can be connected to."""
    return not text.startswith("0") and (whole_number(text, 5) or 0) in range(1, 2**16)


def _split_url(text: str) -> _URLParts | None:
    """Return the parts of an HTTP URL; None for any other text."""
    match = _URL.fullmatch(text)
    if not match or not is_host(match[2]) or (match[3] is not None and not is_port(match[3])):
        return None
    return _URLParts(match[1], match[2], match[3] or "", match[4])


def _refusal(text: str, sentence: str) -> ValidationError:
    hint = "" if text.isascii() else " It has to be in ASCII: a host as xn--…, and what follows it percent-encoded."
    return ValidationError(sentence + hint)


class PublicURL(fields.String):
    """A URL such as ``https://host/prefix``; a slash at the end is removed."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        url = str(super()._deserialize(value, attr, data, **kwargs)).rstrip("/")
        parts = _split_url(url)
        if url and not (parts and url == url.removesuffix(parts.rest).lower() + parts.rest and _is_path(parts.rest)):
            raise _refusal(url, "It is not a URL in lower case such as https://metrics.example/bigfix.")
        return url


def _is_path(text: str) -> bool:
    return bool(re.fullmatch(PATH, text))


def check_bind(text: str) -> None:
    """Raise ValidationError unless the text is HOST:PORT, where HOST may be empty and PORT 0, or unix:PATH."""
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise ValidationError("It is not unix:PATH.")
        return
    host, colon, port = text.rpartition(":")
    if not colon or not (host == "" or is_host(host)) or not (port == "0" or is_port(port)):
        raise _refusal(text, "It is not HOST:PORT, with a port up to 65535, and an IPv6 address in brackets.")


def check_host(text: str) -> None:
    """Raise ValidationError unless the text is a host."""
    if not is_host(text):
        raise _refusal(text, f"{text!r} is not a host such as metrics.example or [2001:db8::1], without a port.")


def check_origin(text: str) -> None:
    """Raise ValidationError unless the text is an origin as browsers write it: without the scheme's own port."""
    parts = _split_url(text)
    if not parts or parts.rest or parts.port == _DEFAULT_PORTS[parts.scheme]:
        raise _refusal(text, f"{text!r} is not an origin such as https://dashboard.example:8443, without a path.")


def check_webhook_url(text: str) -> None:
    """Raise ValidationError unless the text is a URL, without a name and password, which nothing would send; or empty.

    What follows the host is the receiver's affair.
    """
    parts = _split_url(_with_small_scheme(text))
    if text and not (parts and parts.rest[:1] in ("", "/", "?")):
        raise _refusal(text, "It is not a URL such as https://hooks.example:8443/path, without a name and password.")


def check_bigfix_server(text: str) -> None:
    """Raise ValidationError unless the text is the address of a BigFix server, or empty."""
    parts = _split_url(_with_small_scheme(text))
    if text and not (parts and parts.scheme == "https" and parts.rest in ("", "/")):
        raise _refusal(text, "It is not of the form https://HOST:52311.")


def _with_small_scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    return scheme.lower() + colon + rest
