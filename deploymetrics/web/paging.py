"""Long lists, a page at a time."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def paginate(items: Sequence[T], page: int, size: int) -> tuple[Sequence[T], int, int]:
    """Return (items of the page, its number from 1, number of pages); a page past the end is the last one."""
    pages = max(-(-len(items) // size), 1)
    page = min(page, pages)
    return items[(page - 1) * size : page * size], page, pages
