"""Content negotiation: which format is written and read, as pure functions of a request's headers.

Strangers can send these headers, so each is read in time linear in its length, and only short ones are remembered.
"""

from functools import lru_cache

from ..errors import NotAcceptable, UnsupportedMediaType

JSON = "json"
XML = "xml"
_SNIFFED = {"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"}
_UTF_8 = {"", "utf-8", "utf8", "us-ascii"}
#: Headers of at most so many characters, and at most so many of them, are remembered.
_SHORT, _REMEMBERED = 256, 1024


def choose_format(accept: str | None, output: str | None) -> str:
    """Return ``JSON`` or ``XML`` by the Accept header and the argument ``output``, each of which may be None.

    Raises NotAcceptable. A browser that opens the URL asks for text/html and prefers XML to JSON; it gets JSON.
    """
    if output is not None:
        return output
    if accept is None or not accept.strip():
        return JSON
    return _format_in_accept(accept) if len(accept) <= _SHORT else _format_in_accept.__wrapped__(accept)


def prefers_csv(accept: str | None, output: str | None) -> bool:
    """Return True if CSV is asked for: by ``output``, or by an Accept header that prefers it to JSON."""
    if output is not None or not accept:
        return (output or "").lower() == "csv"
    weights = _weights(accept)
    csv = weights.get("text/csv", 0.0)
    return csv > 0 and csv >= _weight(weights, "application/json")


@lru_cache(_REMEMBERED)
def _format_in_accept(accept: str) -> str:
    weights = _weights(accept)
    if "text/html" in weights:
        return JSON
    json = _weight(weights, "application/json")
    xml = max(_weight(weights, "application/xml"), _weight(weights, "text/xml"))
    if json == xml == 0:
        raise NotAcceptable()
    return XML if xml > json else JSON


def _weights(accept: str) -> dict[str, float]:
    """Return the weight of each media range in an Accept header; parameters other than ``q`` are ignored."""
    weights: dict[str, float] = {}
    for element in accept.lower().split(","):
        media_range, *parameters = (text.strip() for text in element.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):  # from 0 to 1; what is no number asks for nothing
                plain = parameter[2:].replace(".", "", 1)
                weight = min(float(parameter[2:]), 1.0) if plain.isascii() and plain.isdecimal() else 0.0
        if media_range == "*":  # what Java's URLConnection sends for */*
            media_range = "*/*"
        weights[media_range] = max(weight, weights.get(media_range, 0))
    return weights


def _weight(weights: dict[str, float], media_type: str) -> float:
    """Return the weight of a media type, which is that of the most specific media range for it."""
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def choose_body_format(content_type: str) -> str | None:
    """Return ``JSON`` or ``XML`` by the Content-Type, or None if the body has to tell; raises UnsupportedMediaType."""
    return _format_of_body(content_type) if len(content_type) <= _SHORT else _format_of_body.__wrapped__(content_type)


@lru_cache(_REMEMBERED)
def _format_of_body(content_type: str) -> str | None:
    name, *parameters = (text.strip().lower() for text in content_type.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip().strip('"') not in _UTF_8:
            raise UnsupportedMediaType("The charset of a body is UTF-8.", code="unsupported-charset")
    if name == "application/json" or (name.count("/") == 1 and name.endswith("+json")):
        return JSON
    if name in ("application/xml", "text/xml") or (name.count("/") == 1 and name.endswith("+xml")):
        return XML
    if name in _SNIFFED:
        return None
    raise UnsupportedMediaType("A body is application/json or application/xml.")


def check_encoding(content_encoding: str) -> None:
    """Raise UnsupportedMediaType for a Content-Encoding other than ``identity``."""
    if {coding.strip().lower() for coding in content_encoding.split(",")} - {"", "identity"}:
        detail, headers = "A body with a Content-Encoding is not read.", {"Accept-Encoding": "identity"}
        raise UnsupportedMediaType(detail, code="content-encoding", headers=headers)
