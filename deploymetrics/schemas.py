"""marshmallow schemas for what comes from outside: tags, query arguments, accounts, and a document's envelope."""

import unicodedata
from functools import lru_cache

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from .accounts import MAX_NAME_BYTES, Role
from .errors import BadRequest, InvalidFields

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


class OutputArguments(Schema):
    """Query arguments of every API route that answers with documents; others are left alone, as BigFix does."""

    class Meta:
        unknown = EXCLUDE

    output = fields.String(load_default=None, validate=validate.OneOf(["json", "xml"]))


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

    password = fields.String(required=True, validate=[validate.Length(MIN_PASSWORD, MAX_PASSWORD), _no_control_characters])
