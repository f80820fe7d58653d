"""Long lists, a page at a time."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def paginate(items: Sequence[T], page: int, size: int) -> tuple[Sequence[T], int, int]:
    """Return the items of a page, counted from 1, its number and that of all pages; past the end it is the last one."""
    pages = max(-(-len(items) // size), 1)
    page = min(page, pages)
    return items[(page - 1) * size : page * size], page, pages
