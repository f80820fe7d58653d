"""The list of the overview: searching, filtering, sorting, grouping and paging the tags, as its URL asks."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import request

from ..clock import from_precise
from ..documents.expectations import STALE, STATES, state_names
from ..documents.service import Entry, Item
from .overview_cache import overview_cache
from .paging import paginate
from .template_filters import fold_case, page_number

PER_PAGE = 100
#: A document of the list, or the deletion of one.
Listed = Entry | Item
ORDERS: dict[str, Callable[[Listed], Any]] = {
    "tag": attrgetter("key"),
    "changed": attrgetter("changed_at"),
    "by": lambda item: item.changed_by.casefold(),
    "version": attrgetter("version"),
    "size": attrgetter("size"),
}
#: The columns that a first click on their head sorts from the top down.
LARGEST_FIRST = {"changed", "version", "size"}
DELETED = "deleted"
#: So many tags with the same beginning make a group, and what such a beginning ends with.
GROUP = 3
_PREFIX = re.compile(r".*[-_.: ](?=[^-_.: ]+$)", re.DOTALL)


class Group(NamedTuple):
    """A group of tags with a common prefix: how many, how many late, the newest; ``url`` folds or unfolds it."""

    prefix: str
    number: int
    late: int
    newest: Listed
    is_open: bool
    url: str


class ListQuery(NamedTuple):
    """The list's query; ``groups`` asks for one line for each common prefix of tags but ``open``."""

    q: str = ""
    state: str = ""
    order: str = ""
    page: int = 1
    groups: str = ""
    open: str = ""

    def url(self, **changes: Any) -> str:
        """Return the URL of the overview with this query, changed."""
        changed = self._replace(**changes)._asdict()
        text = urlencode({name: value for name, value in changed.items() if value != self._field_defaults[name]})
        return f"{request.script_root}/{text and '?'}{text}"

    def order_for(self, column: str) -> str:
        """Return the order for a click on the head of a column; a second click reverses it."""
        first, second = (f"-{column}", column) if column in LARGEST_FIRST else (column, f"-{column}")
        return second if self.order == first else first


def read_query() -> ListQuery:
    """Return the ListQuery in the current request's URL; invalid arguments are ignored."""
    args = request.args
    order = args.get("order", "")
    return ListQuery(
        q=args.get("q", "").strip()[:200],
        state=args.get("state", "") if args.get("state") in (*STATES, DELETED) else "",
        order=order if order.removeprefix("-") in ORDERS else "",
        page=page_number("page"),
        groups="1" if args.get("groups") == "1" else "",
        open=args.get("open", "")[:200],
    )


class ListPage(NamedTuple):
    """A page of the list: its ``items``, how many match the query, and how many there are in ``total``.

    ``counts`` has the number of documents in each state, among those that match the search.
    """

    items: Sequence[Listed | Group]
    page: int
    pages: int
    matches: int
    total: int
    counts: dict[str, int]


def select_page(
    items: Sequence[Listed], deletions: Sequence[Listed], query: ListQuery, expected: dict[str, int], now: datetime
) -> ListPage:
    """Return the ListPage that a ListQuery asks for, of documents (``items``) or of deletions."""
    total = len(items)
    if query.q:
        items, deletions = _matching(items, query.q), _matching(deletions, query.q, in_names=False)
    states = state_names(items, expected, now)
    counts = {name: states.count(name) for name in STATES}
    late = {item.key for item, name in zip(items, states) if name == STALE}
    if query.state == DELETED:
        items = deletions
    elif query.state:
        items = [item for item, name in zip(items, states) if name == query.state]
    items = _ordered(items, query.order, late, expected)
    lines = group_by_prefix(items, query, late) if query.groups else items
    return ListPage(*paginate(lines, query.page, PER_PAGE), len(items), total, counts)


def group_by_prefix(items: Sequence[Listed], query: ListQuery, late: set[str]) -> list[Listed | Group]:
    """Return the items with a Group in place of those with a common prefix; late ones stand by themselves as well."""
    prefixes = [match[0] if (match := _PREFIX.match(item.key)) else "" for item in items]
    alike: dict[str, list[Listed]] = {}
    for prefix, item in zip(prefixes, items):
        alike.setdefault(prefix, []).append(item)
    lines: list[Listed | Group] = []
    seen: set[str] = set()
    for prefix, item in zip(prefixes, items):
        if not prefix or len(alike[prefix]) < GROUP or item.key in late and not query.order:
            lines.append(item)
            continue
        is_open = prefix == query.open
        if prefix not in seen:
            seen.add(prefix)
            number_late = sum(other.key in late for other in alike[prefix])
            newest = max(alike[prefix], key=ORDERS["changed"])
            url = query.url(open="" if is_open else prefix)
            lines.append(Group(prefix, len(alike[prefix]), number_late, newest, is_open, url))
        if is_open:
            lines.append(item)
    return lines


def _matching(items: Sequence[Listed], q: str, *, in_names: bool = True) -> Sequence[Listed]:
    """Return the items that have a text in their tag, their author's name, or the name of a value."""
    word, cache = fold_case(q), overview_cache()
    return [
        item
        for item in items
        if word in fold_case(item.key)
        or word in fold_case(item.changed_by)
        or in_names
        and isinstance(item, Entry)
        and word in cache.names(item)
    ]


def _ordered(items: Sequence[Listed], order: str, late: set[str], expected: dict[str, int]) -> Sequence[Listed]:
    """Sort the items by one of ORDERS; by default late ones come first, the most overdue on top, then by tag."""
    if order:
        return sorted(items, key=ORDERS[order.removeprefix("-")], reverse=order.startswith("-"))
    on_top = [item for item in items if item.key in late]
    on_top.sort(key=lambda item: from_precise(item.changed_at) + timedelta(seconds=expected[item.key]))
    return [*on_top, *(item for item in items if item.key not in late)] if on_top else items
