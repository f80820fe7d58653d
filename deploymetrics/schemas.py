"""marshmallow schemas for what comes from outside: tags, query arguments, accounts, and a document's envelope."""

import unicodedata
from functools import lru_cache

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from .accounts import MAX_NAME_BYTES, Role
from .clock import from_precise
from .errors import BadRequest, InvalidFields
from .storage import VERSION_LIMIT
from .wholenumber import WholeNumber

MAX_BYTES = MAX_NAME_BYTES
MIN_PASSWORD = 8
MAX_PASSWORD = 1024


def _no_control_characters(text):
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise ValidationError("It has a control character.")


def _no_outer_space(text):
    if text != text.strip():
        raise ValidationError("It begins or ends with white space.")


def _from_1_to_64_bytes(text):
    if not text:
        raise ValidationError("It is empty.")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ValidationError(f"It is longer than {MAX_BYTES} bytes of UTF-8.")


def validate_tag(tag):
    """Raise ValidationError unless the text can be a tag (the rules are in the README)."""
    _from_1_to_64_bytes(tag)
    _no_control_characters(tag)
    _no_outer_space(tag)
    if "/" in tag:
        raise ValidationError("It has a slash.")
    if tag in (".", ".."):
        raise ValidationError("It is . or ..")


@lru_cache(maxsize=4096)
def check_tag(tag):
    """The tag, if it can be one; raises BadRequest with the code ``invalid-tag``."""
    try:
        validate_tag(tag)
    except ValidationError as error:
        message = error.messages[0]
        raise BadRequest(f"The tag is not valid. {message}", code="invalid-tag", errors={"tag": [message]}) from None
    return tag


def load(schema, data):
    """What ``schema`` makes of ``data``; raises InvalidFields with its messages."""
    try:
        return schema.load(data)
    except ValidationError as error:
        raise InvalidFields(error.normalized_messages()) from None


class _Arguments(Schema):
    """Query arguments; those that are not known are ignored, as BigFix does."""

    class Meta:
        unknown = EXCLUDE


class OutputArguments(_Arguments):
    """What every route of the API takes."""

    output = fields.String(load_default=None, validate=validate.OneOf(["json", "xml"]))


class ListArguments(_Arguments):
    """Where a page of the list begins, and how long it is; nothing where the whole list is asked for."""

    after = fields.String()
    limit = WholeNumber(validate=validate.Range(min=1))


class HistoryArguments(_Arguments):
    """Below which version a page of the history begins, and how long it is."""

    before = WholeNumber(load_default=None, validate=validate.Range(min=1))
    limit = WholeNumber(load_default=100, validate=validate.Range(1, 1000))


def _is_precise(text):
    try:
        from_precise(text)
    except ValueError:
        raise ValidationError("It is not a time such as 2018-01-12T12:00:03.123456Z.") from None


class ExportedVersion(Schema):
    """A line of an export without its metrics, which stay text."""

    version = fields.Integer(
        required=True, strict=True, validate=validate.Range(min=1, max=VERSION_LIMIT, max_inclusive=False)
    )
    changedAt = fields.String(required=True, validate=_is_precise)
    changedBy = fields.String(required=True, validate=validate.Length(max=256))
    tag = fields.String(required=True)
    lastChanged = fields.String()
    deleted = fields.Boolean(validate=validate.Equal(True))


class ExpectationBody(Schema):
    """How often a tag is expected to be posted."""

    everySeconds = fields.Integer(required=True, strict=True)


class AccountName(Schema):
    """The name of an account, as Basic authentication and XML can carry it."""

    name = fields.String(
        required=True,
        validate=[_from_1_to_64_bytes, _no_control_characters, _no_outer_space,
                  validate.ContainsNoneOf(":", error="It has a colon, which Basic authentication cannot carry.")],
    )


class NewAccount(AccountName):
    """An account to be added; a WebUI application's secret is generated, so it brings no password."""

    role = fields.Enum(Role, by_value=True, required=True)


class NewPassword(Schema):
    """A password that a person chose."""

    password = fields.String(
        required=True, validate=[validate.Length(MIN_PASSWORD, MAX_PASSWORD), _no_control_characters]
    )
