"""What a view says about itself for the OpenAPI document, in a decorator beside it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..http.view_attributes import View, marked
from .openapi_schemas import Json


class Operation(NamedTuple):
    """What a view answers when all is well, and what else it may answer.

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
    """Mark a view with its Operation; ``details`` are the members that it has beside schema and statuses."""
    return marked(operation=Operation(schema, statuses, **details))
