"""What the marshmallow schemas share: loading one, and checks of names, tags and whole numbers."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from .errors import InvalidFieldsError

MAX_BYTES = 64


def load(schema: Schema, data: Mapping[str, Any]) -> Any:
    """Return the data as the schema loads it. Raises InvalidFieldsError with the schema's messages."""
    try:
        return schema.load(data)
    except ValidationError as error:
        raise InvalidFieldsError(error.messages_dict) from None


def no_control_characters(text: str) -> None:
    """Raise ValidationError if the text has a control character or half of a surrogate pair."""
    if not text.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise ValidationError("It has a control character.")


def no_outer_space(text: str) -> None:
    """Raise ValidationError if the text begins or ends with white space."""
    if text != text.strip():
        raise ValidationError("It begins or ends with white space.")


def from_1_to_64_bytes(text: str) -> None:
    """Raise ValidationError unless the text has 1 to MAX_BYTES bytes of UTF-8."""
    if not text:
        raise ValidationError("It is empty.")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ValidationError(f"It is longer than {MAX_BYTES} bytes of UTF-8.")


def whole_number(text: str, digits: int = 18) -> int | None:
    """Return the number in a text of ASCII digits, at most ``digits`` of them; None for any other text.

    ``int()`` alone also takes ``1_000``, ``+1`` and all scripts' digits.
    """
    return int(text) if len(text) <= digits and text.isascii() and text.isdecimal() else None


class WholeNumber(fields.Integer):
    """An Integer that takes an int or ASCII digits only; Integer itself also takes ``1.9`` and ``1_000``."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, str):
            number = whole_number(value.removeprefix("-"), 19)
            value = -number if number and value.startswith("-") else number
        if type(value) is not int:
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)
