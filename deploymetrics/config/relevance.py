"""The setting BIGFIX_METRICS: relevance by the name of a metric."""

import json
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ..schemas import WholeNumber


def _check_printable(text: str) -> None:
    if not text.isprintable():
        raise ValidationError("It holds a character that cannot be printed.")


class _Expression(fields.Nested):
    """Relevance as text, or a dict with ``relevance``, ``answer`` and ``every``, of which each may be missing."""

    def __init__(self) -> None:
        relevance = fields.String(validate=validate.Length(1))
        answer = fields.String(validate=validate.OneOf(["number", "text", "counts", "any"]))
        every = WholeNumber(validate=validate.Range(0, 30 * 86400))
        schema = Schema.from_dict({"relevance": relevance, "answer": answer, "every": every})
        super().__init__(schema, allow_none=True)

    def _deserialize(self, value: Any, attr: Any, data: Any, partial: Any = None, **kwargs: Any) -> Any:
        return value if isinstance(value, str) else super()._deserialize(value, attr, data, partial, **kwargs)


class Relevance(fields.Dict):
    """A dict of name → _Expression or None; in the environment it is JSON."""

    def __init__(self) -> None:
        super().__init__(fields.String(validate=[validate.Length(1, 200), _check_printable]), _Expression())

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValidationError("It is not JSON.") from None
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
