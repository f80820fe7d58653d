"""Checking the values that a source gives, and converting them to text."""

import math
from typing import Any

from . import SourceError, TextValue, as_reason

MAX_NAME = 200


def values_as_text(values: Any) -> tuple[dict[str, TextValue], dict[str, str]]:
    """Return the values with every scalar as text, as BigFix has them, and metric → why its value is not valid.

    Raises SourceError if they are no dict, or if a name is none.
    """
    if not isinstance(values, dict):
        raise SourceError(f"The source gave {type(values).__name__} and not names with values.")
    good: dict[str, TextValue] = {}
    bad: dict[str, str] = {}
    for name, value in values.items():
        check_name(name)
        try:
            good[name] = _value_as_text(value)
        except ValueError as error:
            bad[name] = as_reason(str(error))
    return good, bad


def check_name(name: Any) -> str:
    """Return the name of a metric if it is valid; raises SourceError."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise SourceError(f"A metric's name is not a text of 1 to {MAX_NAME} printable characters.")
    return name


def _value_as_text(value: Any) -> TextValue:
    if isinstance(value, dict):
        return {_scalar_as_text(key): _scalar_as_text(count) for key, count in value.items()}
    if isinstance(value, list | tuple):
        return [_scalar_as_text(part) for part in value]
    return _scalar_as_text(value)


def _scalar_as_text(value: Any) -> str:
    """Return a scalar as text. Raises ValueError for another type, and for a number of very many digits."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("A text holds half of a surrogate pair.")
        return value
    if isinstance(value, int) or isinstance(value, float) and math.isfinite(value):
        return str(value)
    raise ValueError("The value is neither text nor a number.")
