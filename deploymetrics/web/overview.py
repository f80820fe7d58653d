"""The overview: every tag at a glance; search, state, order and page are in the URL."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.service import Role
from ..clock import as_precise, from_precise
from ..documents.expectations import QUIET_SECONDS, state
from ..documents.headlines import Headline
from ..documents.service import Entry, Item
from ..http.access import require_role
from ..services import services
from . import bp
from .filters import duration, folded, page_number
from .live import live_list
from .overview_cache import Spark, overview_cache

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
STATES = ("fresh", "quiet", "stale")
DELETED = "deleted"
#: So many tags with the same beginning make a group, and what such a beginning ends with.
GROUP = 3
_PREFIX = re.compile(r".*[-_.: ](?=[^-_.: ]+$)", re.DOTALL)


class Row(NamedTuple):
    """A line of the overview. ``late`` says by how much a stale document is."""

    item: Listed
    url: str
    state: str
    late: str
    spark: Spark | None


class Group(NamedTuple):
    """Documents whose tags begin alike: how many, how many of them are late, and the newest.

    ``url`` unfolds them, or folds them where they are.
    """

    prefix: str
    number: int
    late: int
    newest: Listed
    is_open: bool
    url: str


class ListQuery(NamedTuple):
    """What of the list the URL asks for; each member is in the URL where it is not as it is at first.

    ``groups`` asks for tags that begin alike in one line, but for the group ``open``.
    """

    q: str = ""
    state: str = ""
    order: str = ""
    page: int = 1
    groups: str = ""
    open: str = ""

    def url(self, **changes: Any) -> str:
        """Return the address of the overview with this query, changed."""
        changed = self._replace(**changes)._asdict()
        text = urlencode({name: value for name, value in changed.items() if value != getattr(_FIRST, name)})
        return f"{request.script_root}/{text and '?'}{text}"

    def turned(self, column: str) -> str:
        """Return the order for a click on a column's head, which turns round at the second one."""
        first, second = (f"-{column}", column) if column in LARGEST_FIRST else (column, f"-{column}")
        return second if self.order == first else first


_FIRST = ListQuery()


class ListPage(NamedTuple):
    """The part of the list that is shown: ``items`` of the page, how many match, and how many there are.

    ``counts`` has how many of those that match the search are in each state.
    """

    items: Sequence[Listed | Group]
    found: int
    total: int
    pages: int
    counts: dict[str, int]


@bp.get("/")
@require_role(*Role)
def index() -> ResponseReturnValue:
    """Show the overview to master operators, and to others what they may do."""
    if current_user.role is not Role.MASTER_OPERATOR:
        return render_template("web/welcome.html")
    listing, expected = services().documents.list(), services().expectations.all()
    query, now = read_query(), services().clock.now()
    gone, damaged = services().documents.deleted(listing) if query.state == DELETED else ([], [])
    shown = select(listing.items, gone, query, expected, now)
    headlines = services().headlines.all()
    rows = [
        item if isinstance(item, Group) else make_row(item, expected.get(item.key), headlines.get(item.key), now)
        for item in shown.items
    ]
    return render_template(
        "web/overview.html",
        rows=rows,
        query=query,
        shown=shown,
        damaged=[*listing.damaged, *damaged],
        live=live_list(listing),
    )


def make_row(item: Listed, seconds: int | None, headline: Headline | None, now: datetime) -> Row:
    """Return the Row of a document, whose tag is expected every so many ``seconds``, or None."""
    url = f"{request.script_root}/tags/{quote(item.key, safe='')}"  # url_for takes a hundred times as long
    if item.deleted:
        return Row(item, url, DELETED, "", None)
    found = state(item.changed_at, seconds, now)
    late = f"{duration((now - found.due).total_seconds())} late" if found.due and found.name == "stale" else ""
    return Row(item, url, found.name, late, overview_cache().spark(item, headline))


def read_query() -> ListQuery:
    """Return the ListQuery in the current request's URL; what makes no sense there is as if it were not there."""
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


def select(
    items: Sequence[Listed], gone: Sequence[Listed], query: ListQuery, expected: dict[str, int], now: datetime
) -> ListPage:
    """Return what of a Listing's ``items``, or of the deletions ``gone``, a ListQuery asks for."""
    total = len(items)
    if query.q:
        items, gone = _matching(items, query.q), _matching(gone, query.q, in_names=False)
    states = _states(items, expected, now)
    counts = {name: states.count(name) for name in STATES}
    late = {item.key for item, name in zip(items, states) if name == "stale"}
    if query.state == DELETED:
        items = gone
    elif query.state:
        items = [item for item, name in zip(items, states) if name == query.state]
    items = _ordered(items, query.order, late, expected)
    lines = fold(items, query, late) if query.groups else items
    pages = max(-(-len(lines) // PER_PAGE), 1)
    start = (min(query.page, pages) - 1) * PER_PAGE
    return ListPage(lines[start : start + PER_PAGE], len(items), total, pages, counts)


def fold(items: Sequence[Listed], query: ListQuery, late: set[str]) -> list[Listed | Group]:
    """Return the items with a Group in the place of those that begin alike; what is late stands by itself as well."""
    prefixes = [match[0] if (match := _PREFIX.match(item.key)) else "" for item in items]
    counts = Counter(prefix for prefix in prefixes if prefix)
    newest: dict[str, Listed] = {}
    number_late: Counter[str] = Counter()
    for prefix, item in zip(prefixes, items):
        if prefix not in newest or newest[prefix].changed_at < item.changed_at:
            newest[prefix] = item
        number_late[prefix] += item.key in late
    lines: list[Listed | Group] = []
    seen: set[str] = set()
    for prefix, item in zip(prefixes, items):
        if counts[prefix] < GROUP or item.key in late and not query.order:
            lines.append(item)
            continue
        is_open = prefix == query.open
        if prefix not in seen:
            seen.add(prefix)
            url = query.url(open="" if is_open else prefix)
            lines.append(Group(prefix, counts[prefix], number_late[prefix], newest[prefix], is_open, url))
        if is_open:
            lines.append(item)
    return lines


def _matching(items: Sequence[Listed], q: str, *, in_names: bool = True) -> Sequence[Listed]:
    """Return the items with the text in their tag, in the name of their author, or in that of a value."""
    word, known = folded(q), overview_cache()
    return [
        item
        for item in items
        if word in folded(item.key)
        or word in folded(item.changed_by)
        or in_names
        and isinstance(item, Entry)
        and word in known.names(item)
    ]


def _ordered(items: Sequence[Listed], order: str, late: set[str], expected: dict[str, int]) -> Sequence[Listed]:
    """Return the items in an order of ORDERS; at first by tag, but what is late on top, the latest first."""
    if order:
        return sorted(items, key=ORDERS[order.removeprefix("-")], reverse=order.startswith("-"))
    on_top = [item for item in items if item.key in late]
    on_top.sort(key=lambda item: from_precise(item.changed_at) + timedelta(seconds=expected[item.key]))
    return [*on_top, *(item for item in items if item.key not in late)] if on_top else items


def _states(items: Sequence[Listed], expected: dict[str, int], now: datetime) -> list[str]:
    """Return the name of the state of each item; times are compared as text, which is quick."""
    spans = {*expected.values(), QUIET_SECONDS}
    limits = {seconds: as_precise(now - timedelta(seconds=seconds)) for seconds in spans}
    quiet = limits[QUIET_SECONDS]
    return [
        "fresh"
        if item.changed_at >= (limits[expected[item.key]] if item.key in expected else quiet)
        else "stale"
        if item.key in expected
        else "quiet"
        for item in items
    ]
