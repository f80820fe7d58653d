"""Checks of tags and of posted metrics, and the schema of a line of an export."""

from functools import lru_cache

import msgspec
from marshmallow import Schema, ValidationError, fields, validate

from ..clock import from_precise
from ..errors import BadRequest, MalformedBodyError
from ..formats import rawjson
from ..schemas import from_1_to_64_bytes, no_control_characters, no_outer_space
from ..storage import VERSION_LIMIT

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@lru_cache(maxsize=2**12)
def check_tag(tag: str) -> str:
    """Return the tag if it is valid (docs/api.rst); else raises BadRequest with the code ``invalid-tag``."""
    try:
        from_1_to_64_bytes(tag)
        no_control_characters(tag)
        no_outer_space(tag)
        if "/" in tag:
            raise ValidationError("It has a slash.")
        if tag in (".", ".."):
            raise ValidationError("It is . or ..")
    except ValidationError as error:
        message = error.messages[0]
        raise BadRequest(f"The tag is not valid. {message}", code="invalid-tag", errors={"tag": [message]}) from None
    return tag


def compact_metrics(text: bytes, tag: str) -> bytes:
    """Check posted metrics, and return their JSON without insignificant white space.

    Raises MalformedBodyError, also for a whole document of this tag, which as metrics would be nested in itself.
    """
    metrics = rawjson.compact(text)
    if metrics.startswith(b"{") and b'"lastChanged"' in metrics:
        members = _members(metrics)
        if members.keys() == {"tag", "metrics", "lastChanged"} and rawjson.parse(bytes(members["tag"])) == tag:
            detail = "The body is the whole document; send only the value of its member metrics."
            raise MalformedBodyError(detail, code="whole-document")
    return metrics


def _check_precise_time(text: str) -> None:
    try:
        from_precise(text)
    except ValueError:
        raise ValidationError("It is not a time such as 2018-01-12T12:00:03.123456Z.") from None


class ExportedVersion(Schema):
    """A line of an export without its metrics, which stay text."""

    version = fields.Integer(
        required=True, strict=True, validate=validate.Range(min=1, max=VERSION_LIMIT, max_inclusive=False)
    )
    changedAt = fields.String(required=True, validate=_check_precise_time)
    changedBy = fields.String(required=True, validate=[validate.Length(max=256), no_control_characters])
    tag = fields.String(required=True)
    lastChanged = fields.String()
    kept = fields.Boolean(validate=validate.Equal(True))
    deleted = fields.Boolean(validate=validate.Equal(True))
