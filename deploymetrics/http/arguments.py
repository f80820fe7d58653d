"""The query arguments of the API."""

import re
from datetime import UTC, datetime

from marshmallow import Schema, ValidationError, fields, validate

from ..clock import as_precise, from_precise
from ..errors import BadRequest
from ..schemas import WholeNumber, whole_number

_EPOCH = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,9})?", re.ASCII)
#: A larger number of the kind is of milliseconds, which is what Grafana has.
_MAX_SECONDS = 10**11
_STEP = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w|)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
#: A plus sign that was sent as it is became a space.
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:[0-9]{2}$)")


def parse_time(text: str) -> str:
    """Return an RFC 3339 time, or (milli)seconds since 1970, as a precise text; raises ValidationError."""
    try:
        if _EPOCH.fullmatch(text):
            seconds = float(text)
            moment = datetime.fromtimestamp(seconds / 1000 if seconds > _MAX_SECONDS else seconds, UTC)
        else:
            moment = from_precise(_LOST_PLUS.sub("+", text) if "T" in text else text)
    except (ValueError, OverflowError):
        raise ValidationError("It is not a time such as 2018-01-12T12:00:00Z, nor seconds since 1970.") from None
    return as_precise(moment)


def parse_step(text: str) -> int:
    """Return the seconds of a text such as ``300``, ``5m``, ``1h`` or ``1d``; raises ValidationError."""
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValidationError("It is not a number of seconds, nor a time such as 5m, 1h or 1d.")
    return int(match[1]) * _UNITS[match[2]]


class OutputArguments(Schema):
    """The argument ``output``, which every route of the API takes, in upper or lower case."""

    output = fields.Function(deserialize=str.lower, load_default=None, validate=validate.OneOf(["json", "xml"]))


class ListArguments(Schema):
    """The arguments of a page of the list: the tag after which it begins, and its length. Without both it is all."""

    after = fields.String()
    limit = WholeNumber(validate=validate.Range(min=1))


class _TimeRange(Schema):
    """The arguments of a stretch of time; unknown ones are refused, since they may mean another time."""

    output = fields.String(load_only=True)
    since = fields.Function(deserialize=parse_time, load_default="")
    until = fields.Function(deserialize=parse_time, load_default="")


class SeriesArguments(_TimeRange):
    """The arguments of a series: a stretch of time, names of numbers, and the seconds of a step."""

    name = fields.String()
    step = fields.Function(deserialize=parse_step, load_default=0)


class HistoryArguments(_TimeRange):
    """The arguments of a page of a history: a stretch of time, the version below which it begins, and its length."""

    before = WholeNumber(load_default=None, validate=validate.Range(min=1))
    limit = WholeNumber(load_default=100, validate=validate.Range(1, 1000))


def parse_version(text: str) -> int:
    """Return a version from a URL as a number from 1; raises BadRequest."""
    version = whole_number(text)
    if not version or text.startswith("0"):
        raise BadRequest("A version is a whole number from 1.", code="invalid-version")
    return version
