"""The query arguments of the API."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from ..errors import BadRequest
from ..schemas import WholeNumber


class _Arguments(Schema):
    """Query arguments; those that are not known are ignored, as BigFix does."""

    class Meta:
        unknown = EXCLUDE


class _Lower(fields.String):
    """A word in upper or lower case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, attr, data, **kwargs)).lower()


class OutputArguments(_Arguments):
    """What every route of the API takes."""

    output = _Lower(load_default=None, validate=validate.OneOf(["json", "xml"]))


class ListArguments(_Arguments):
    """Where a page of the list begins, and how long it is; nothing where the whole list is asked for."""

    after = fields.String()
    limit = WholeNumber(validate=validate.Range(min=1))


class HistoryArguments(_Arguments):
    """Below which version a page of the history begins, and how long it is."""

    before = WholeNumber(load_default=None, validate=validate.Range(min=1))
    limit = WholeNumber(load_default=100, validate=validate.Range(1, 1000))


def parse_version(text: str) -> int:
    """Return a version from a URL as a number from 1; raises BadRequest."""
    if not (text.isascii() and text.isdecimal() and text[0] != "0" and len(text) < 19):
        raise BadRequest("A version is a whole number from 1.", code="invalid-version")
    return int(text)
