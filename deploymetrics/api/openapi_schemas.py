"""``@answers``, by which views say what they answer for the OpenAPI document, and the schemas of its components."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..documents.expectations import MAX_SECONDS, MIN_SECONDS
from ..http.access import View, mark_view

Json = dict[str, Any]


class Operation(NamedTuple):
    """The OpenAPI operation of a view: its successful answer, its arguments and body, and its other statuses.

    ``schema`` is that of the answer, None for none; ``xml`` says that the answer, and the ``body``, come in XML too.
    ``csv`` says the same of CSV. ``statuses`` are those that not every operation has. ``query`` are arguments as (name,
    schema, description).
    """

    schema: Json | None
    statuses: tuple[int, ...]
    xml: bool = False
    body: Json | None = None
    query: tuple[tuple[str, Json, str], ...] = ()
    headers: tuple[str, ...] = ()
    csv: bool = False


def answers(schema: Json | None, *statuses: int, **details: Any) -> Callable[[View], View]:
    """Mark a view with its Operation; ``details`` are its other members."""
    return mark_view(operation=Operation(schema, statuses, **details))


def list_of(schema: Json) -> Json:
    """Return the JSON schema of an array, given that of its elements."""
    return {"type": "array", "items": schema}


def object_of(properties: Json, *, optional: tuple[str, ...] = (), description: str = "") -> Json:
    """Return the JSON schema of an object with these properties; all are required but the optional ones."""
    about = {"description": description} if description else {}
    required = [name for name in properties if name not in optional]
    return {"type": "object", **about, "required": required, "properties": properties}


TEXT: Json = {"type": "string"}
TIME: Json = {**TEXT, "format": "date-time"}
NUMBER: Json = {"type": "integer"}
ANY_VALUE: Json = {"description": "Any JSON value, digit for digit as it was posted."}
DOCUMENT: Json = {"$ref": "#/components/schemas/Document"}
VERSION: Json = {"$ref": "#/components/schemas/Version"}
EXPECTATION: Json = {"$ref": "#/components/schemas/Expectation"}
TOKEN: Json = {"$ref": "#/components/schemas/Token"}
TOKENS: Json = {
    "type": "object",
    "description": "All of an account's: as tokens, one's own; as Tokens, those of a user that was named.",
    "properties": {name: list_of(TOKEN) for name in ("tokens", "Tokens")},
}
EVERY_SECONDS: Json = {"type": "integer", "minimum": MIN_SECONDS, "maximum": MAX_SECONDS}
INTERVAL: Json = object_of({"everySeconds": EVERY_SECONDS})
SERIES: Json = {"$ref": "#/components/schemas/Series"}
_MOMENT = {**TEXT, "examples": ["2018-01-12T12:00:00Z", "1515758400"]}
#: The arguments of what covers a stretch of time.
SINCE_UNTIL = (
    ("since", _MOMENT, "From when on: RFC 3339, or seconds or milliseconds since 1970."),
    ("until", _MOMENT, "Up to when."),
)

_POINT = object_of({"time": TIME, "version": NUMBER, "value": {"type": "number"}})

#: By name, what the OpenAPI document has under components.
COMPONENTS: Json = {
    "Series": object_of(
        {
            "tag": TEXT,
            "complete": {"type": "boolean"},
            "series": list_of(object_of({"name": TEXT, "points": list_of(_POINT)})),
        },
        description="Numbers over time; complete is false where some versions or numbers were left out.",
    ),
    "Expectation": object_of(
        {
            "tag": TEXT,
            "everySeconds": EVERY_SECONDS,
            "state": {"type": ["string", "null"], "description": "fresh or stale."},
            "due": {"type": ["string", "null"], "examples": ["2018-01-12T13:00:03.123456Z"]},
        },
        description="How often a tag is expected to be posted; state and due are null while there is no document. "
        "due is null too for a document that changed more than a day from now.",
    ),
    "Document": object_of(
        {
            "tag": TEXT,
            "metrics": ANY_VALUE,
            "lastChanged": {**TEXT, "examples": ["12 Jan 2018 12:00"], "description": "GMT."},
        }
    ),
    "Version": object_of(
        {
            "version": {**NUMBER, "minimum": 1},
            "changedAt": TIME,
            "changedBy": TEXT,
            "tag": TEXT,
            "metrics": ANY_VALUE,
            "lastChanged": TEXT,
            "deleted": {"type": "boolean", "description": "Only in a deletion, where it is true."},
        },
        optional=("metrics", "lastChanged", "deleted"),
        description="A version of a document; a deletion has neither metrics nor lastChanged.",
    ),
    "Token": object_of(
        {
            "Token": TEXT,
            "Id": NUMBER,
            "Name": TEXT,
            "Expiration": {**NUMBER, "description": "Microseconds since 1970; 0 is never."},
            "User": {**NUMBER, "description": "The number of the account."},
            "UserName": TEXT,
            "Access": {**TEXT, "enum": ["full", "read-only", "scrape"]},
            "Tags": list_of(TEXT),
            "LastUsed": {**NUMBER, "description": "Microseconds since 1970, to the minute; 0 is never."},
        },
        optional=("Token",),
        description="A token; Token is its secret, in the answer that made it.",
    ),
    "Problem": object_of(
        {
            "type": TEXT,
            "title": TEXT,
            "status": NUMBER,
            "detail": TEXT,
            "code": {**TEXT, "description": "Stable, for programs."},
            "error": {**TEXT, "description": "The same as detail."},
            "line": NUMBER,
            "column": NUMBER,
            "limit": NUMBER,
            "errors": {"type": "object"},
            "requestId": TEXT,
        },
        optional=("line", "column", "limit", "errors", "requestId"),
        description="RFC 9457.",
    ),
}
