"""A marshmallow field for whole numbers in decimal digits, as settings and query arguments bring them."""

from marshmallow import fields


class WholeNumber(fields.Integer):
    """Takes an int or its ASCII digits; Integer alone also takes ``1.9``, ``1_000``, ``+1`` and all scripts' digits."""

    def _deserialize(self, value, attr, data, **kwargs):
        if isinstance(value, str):
            digits = value.removeprefix("-")
            value = int(value) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None
        if type(value) is not int:
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)
