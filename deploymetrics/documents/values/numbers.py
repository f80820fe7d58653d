"""Numbers: JSON numbers, and texts that are nothing but one, as BigFix writes them."""

import sys
from decimal import Decimal, InvalidOperation

from ...formats import rawjson

#: The largest float.
LARGEST = sys.float_info.max
_SHORT = 15


def is_number(value: object) -> bool:
    """Return True if a value, as ``rawjson.parse`` returned it, is a JSON number or a text that is one."""
    return isinstance(value, str) and rawjson.NUMBER.fullmatch(value) is not None


def as_float(text: str) -> float:
    """Return the float nearest to a number; numbers beyond all floats become the largest one."""
    return min(max(float(text), -LARGEST), LARGEST)


def shorten_number(text: str) -> str:
    """Return a number as it is, or with twelve digits if it is long: ``1.23456789012e+40``."""
    if len(text) <= _SHORT:
        return text
    try:
        short = f"{Decimal(text):.12g}"
    except InvalidOperation:  # an exponent that has a dozen digits itself
        return f"{text[:_SHORT]}…"
    return short.rstrip("0").rstrip(".") if "." in short and "e" not in short else short
