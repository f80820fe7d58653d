"""What a view says about itself for the OpenAPI document, in a decorator beside it."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..documents.expectations import MAX_SECONDS, MIN_SECONDS

View = TypeVar("View", bound=Callable[..., Any])
Json = dict[str, Any]

ANY_VALUE: Json = {"description": "Any JSON value, digit for digit as it was posted."}
DOCUMENT: Json = {"$ref": "#/components/schemas/Document"}
VERSION: Json = {"$ref": "#/components/schemas/Version"}
EXPECTATION: Json = {"$ref": "#/components/schemas/Expectation"}
TOKEN: Json = {"$ref": "#/components/schemas/Token"}
TOKENS: Json = {
    "type": "object",
    "description": "All of an account's: as tokens, one's own; as Tokens, those of a user that was named.",
    "properties": {name: {"type": "array", "items": TOKEN} for name in ("tokens", "Tokens")},
}
EVERY_SECONDS: Json = {"type": "integer", "minimum": MIN_SECONDS, "maximum": MAX_SECONDS}
INTERVAL: Json = {"type": "object", "required": ["everySeconds"], "properties": {"everySeconds": EVERY_SECONDS}}
TEXT: Json = {"type": "string"}
MOMENT: Json = {**TEXT, "examples": ["2018-01-12T12:00:00Z", "1515758400"]}
SERIES: Json = {"$ref": "#/components/schemas/Series"}


def list_of(schema: Json) -> Json:
    """Return the schema of an array."""
    return {"type": "array", "items": schema}


class Operation(NamedTuple):
    """What a view answers when all is well, and what else it may answer.

    ``schema`` is that of the answer, None for none; ``xml`` says that the answer, and the ``body``, come in XML too.
    ``csv`` says the same of CSV. ``statuses`` are those that not every operation has.
    """

    schema: Json | None
    statuses: tuple[int, ...]
    xml: bool
    body: Json | None
    query: tuple[tuple[str, Json, str], ...]
    headers: tuple[str, ...]
    csv: bool = False


def answers(
    schema: Json | None,
    *statuses: int,
    xml: bool = False,
    body: Json | None = None,
    query: tuple[tuple[str, Json, str], ...] = (),
    headers: tuple[str, ...] = (),
    csv: bool = False,
) -> Callable[[View], View]:
    """Mark a view with its Operation: ``query`` are arguments as (name, schema, description)."""

    def mark(view: View) -> View:
        view.operation = Operation(schema, statuses, xml, body, query, headers, csv)  # type: ignore[attr-defined]
        return view

    return mark
