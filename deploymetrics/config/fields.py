"""Marshmallow fields and checks for settings that are more than a word or a number: URLs, hosts, relevance."""

import json
import re
from collections.abc import Callable
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ..schemas import WholeNumber, whole_number

_HOST = r"(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]+\])"
_ORIGIN = rf"https?://{_HOST}(?::[1-9][0-9]{{0,4}})?"
#: A path such as /bigfix: plain segments, and nothing that reads as another host or leads upwards.
PATH = r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]{1,64}){0,8}"


class Words(fields.Field[tuple[str, ...]]):
    """A list of words, or a text of them with spaces or commas; ``lower`` changes their case, ``check`` tests each."""

    def __init__(self, check: Callable[[str], object], *, lower: bool = True) -> None:
        super().__init__()
        self.check = check
        self.lower = lower

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> tuple[str, ...]:
        words = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
            raise ValidationError("It is not a list of words.")
        words = tuple(word.lower() if self.lower else word for word in words)
        for word in words:
            self.check(word)
        return words


class PublicURL(fields.String):
    """A URL such as ``https://host/prefix``; a slash at the end is removed."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        url = str(super()._deserialize(value, attr, data, **kwargs)).rstrip("/")
        if url and not re.fullmatch(_ORIGIN + PATH, url):
            raise ValidationError("It is not a URL in lower case such as https://metrics.example/bigfix.")
        return url


def check_bind(text: str) -> None:
    """Raise ValidationError unless the text is HOST:PORT or unix:PATH."""
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise ValidationError("It is not unix:PATH.")
        return
    _, colon, digits = text.rpartition(":")
    port = whole_number(digits)
    if not colon or port is None or port >= 2**16:
        raise ValidationError("It is not HOST:PORT, with a port up to 65535.")


check_host = validate.Regexp(
    rf"{_HOST}\Z", error="{input!r} is not a host such as metrics.example or [2001:db8::1], without a port."
)
check_unit = validate.Regexp(
    r"[^=\s]{1,80}=[^=\s]{1,12}\Z", error="{input!r} is not the name of a number and its unit, such as queue=items."
)
#: An origin as browsers write it is without the scheme's own port.
check_origin = validate.Regexp(
    rf"(?!http:.*:80\Z|https:.*:443\Z){_ORIGIN}\Z",
    error="{input!r} is not an origin such as https://dashboard.example:8443, without a path.",
)

#: Without a name and password, which nothing would send.
check_webhook_url = validate.Regexp(
    rf"\Z|(?i:{_ORIGIN})(?:[/?][!-~]*)?\Z",
    error="It is not a URL in ASCII such as https://hooks.example:8443/path, without a name and password.",
)


class _Expression(fields.Nested):
    """A relevance expression as text, or a dict with some of ``relevance``, ``answer`` and ``every``."""

    def __init__(self) -> None:
        relevance = fields.String(validate=validate.Length(1))
        answer = fields.String(validate=validate.OneOf(["number", "text", "counts", "any"]))
        every = WholeNumber(validate=validate.Range(0, 30 * 86400))
        schema = Schema.from_dict({"relevance": relevance, "answer": answer, "every": every})
        super().__init__(schema, allow_none=True)

    def _deserialize(self, value: Any, attr: Any, data: Any, partial: Any = None, **kwargs: Any) -> Any:
        return value if isinstance(value, str) else super()._deserialize(value, attr, data, partial, **kwargs)


class Relevance(fields.Dict):
    """A dict of metric name → _Expression or None, or the JSON of one, as in the environment."""

    def __init__(self) -> None:
        printable = validate.Predicate("isprintable", error="It holds a character that cannot be printed.")
        super().__init__(fields.String(validate=[validate.Length(1, 200), printable]), _Expression())

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValidationError("It is not JSON.") from None
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
