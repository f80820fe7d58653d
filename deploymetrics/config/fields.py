"""Marshmallow fields and checks for settings that are more than a word or a number: lists, units, relevance."""

import json
from collections.abc import Callable
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ..schemas import WholeNumber


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


check_unit = validate.Regexp(
    r"[^=\s]{1,80}=[^=\s]{1,12}\Z", error="{input!r} is not the name of a number and its unit, such as queue=items."
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
