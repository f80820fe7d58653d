"""The overview: every tag at a glance; search, order and page are in the URL."""

from datetime import datetime, timedelta
from itertools import chain, zip_longest
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote, urlencode

from flask import current_app, render_template, request
from flask_login import current_user
from markupsafe import Markup

from ..accounts.service import Role
from ..clock import as_precise, from_precise
from ..documents.expectations import QUIET_SECONDS, state
from ..http.access import require_role
from ..services import NAME, services
from . import bp
from .figures.plots import sparkline
from .figures.series import spark
from .filters import ago, ago_lasts, page_number

PER_PAGE = 100
ORDERS = {
    "tag": attrgetter("key"),
    "changed": attrgetter("changed_at"),
    "by": lambda item: item.changed_by.casefold(),
    "version": attrgetter("version"),
    "size": lambda item: len(item.value),
}
STATES = ("", "fresh", "quiet", "stale")
_ROWS = "deploymetrics_rows"
MAX_REMEMBERED = 20_000
# Stands in a line for a word that time changes; no tag has it.
_WORD = "\0"


class Row(NamedTuple):
    """A line of the overview as HTML, and from when until when it is right.

    ``pieces`` is the HTML without the words that time changes, ``made_from`` what they come from, ``seconds`` the
    expectation.
    """

    html: str
    since: datetime
    until: datetime
    seconds: int | None
    pieces: list
    made_from: tuple


class Rows:
    """Lines of the overview, remembered by tag: most have not changed since they were last shown."""

    def __init__(self, service):
        self._service = service
        self._known = {}

    def forget(self):
        """Make every line anew from now on."""
        self._known.clear()

    def html(self, item, seconds, moment, root):
        """The line of an Item, whose tag is expected so often, or None, at this moment; ``root`` begins its address."""
        known, made_from = self._known.get(item.key), (item.revision, root)
        same = known is not None and known.made_from == made_from
        if not same or known.seconds != seconds or not known.since <= moment < known.until:
            pieces = known.pieces if same else self._pieces(item, root)
            words, until = _words(item.changed_at, seconds, moment)
            html = "".join(chain.from_iterable(zip_longest(pieces, words, fillvalue="")))
            if len(self._known) >= MAX_REMEMBERED:
                self.forget()
            self._known[item.key] = known = Row(html, moment, until, seconds, pieces, made_from)
        return known.html

    def _pieces(self, item, root):
        html = render_template(
            "web/row.html", item=item, url=f"{root}/tags/{quote(item.key, safe='')}",
            plot=_plot(*spark(self._service, item)), word=_WORD,
        )
        return html.split(_WORD, 3)


def _words(changed_at, seconds, moment):
    """The words that go between the pieces of a line, and until when they are right."""
    name = state(changed_at, seconds, moment).name
    return (name, name, ago(changed_at, moment)), _until(changed_at, seconds or QUIET_SECONDS, moment)


def _until(changed_at, seconds, moment):
    """When the words for the age, or the state, change next."""
    due = from_precise(changed_at) + timedelta(seconds=seconds)
    soon = moment + timedelta(seconds=ago_lasts(changed_at, moment))
    return min(due, soon) if due >= moment else soon


def _plot(path, values):
    return sparkline([value for _, value in values], f"{path or 'value'}: {values[-1][0]}") if values else ""


class Choice(NamedTuple):
    """What of the list is asked for; each member is in the URL where it is not as it is at first."""

    q: str = ""
    state: str = ""
    order: str = "tag"
    page: int = 1

    def url(self, **changes):
        """The address of the overview with this choice, changed."""
        asked = self._replace(**changes)._asdict()
        query = urlencode({name: value for name, value in asked.items() if value != getattr(_FIRST, name)})
        return f"{request.script_root}/{query and '?'}{query}"

    def turned(self, column):
        """The order for a click on a column's head: up, then down."""
        return f"-{column}" if self.order == column else column


_FIRST = Choice()


class Asked(NamedTuple):
    """The part of the list that is shown: items of the page, how many match, how many there are, and of each state."""

    items: list
    found: int
    total: int
    pages: int
    counts: dict


@bp.record_once
def remember_rows(setup):
    """Keep the lines of an application's overview with the application."""
    setup.app.extensions[_ROWS] = Rows(setup.app.extensions[NAME].service)


@bp.get("/")
@require_role(*Role)
def index():
    """The overview for master operators; for others what they may do."""
    if current_user.role is not Role.MASTER_OPERATOR:
        return render_template("web/welcome.html")
    listing, expected = services().service.list(), services().expectations.all()
    choice, moment = read_choice(), services().clock.now()
    asked = ask(listing.items, choice, expected, moment)
    html, root = current_app.extensions[_ROWS].html, request.script_root
    rows = Markup("\n".join([html(item, expected.get(item.key), moment, root) for item in asked.items]))
    return render_template("web/overview.html", rows=rows, choice=choice, asked=asked, damaged=listing.damaged)


def read_choice():
    """The Choice in the current request's URL; what makes no sense there is as if it were not there."""
    args = request.args
    order = args.get("order", "tag")
    return Choice(
        q=args.get("q", "").strip()[:200],
        state=args.get("state", "") if args.get("state") in STATES else "",
        order=order if order.removeprefix("-") in ORDERS else "tag",
        page=page_number("page"),
    )


def ask(items, choice, expected, moment):
    """The Asked part of the items of a Listing."""
    total = len(items)
    if choice.q:
        word = choice.q.casefold()
        items = [item for item in items if word in item.key.casefold() or word in item.changed_by.casefold()]
    counts, states = _count(items, expected, moment)
    if choice.state:
        items = [item for item, name in zip(items, states) if name == choice.state]
    items = _ordered(items, choice.order)
    pages = max(-(-len(items) // PER_PAGE), 1)
    start = (min(choice.page, pages) - 1) * PER_PAGE
    return Asked(items[start:start + PER_PAGE], len(items), total, pages, counts)


def _ordered(items, order):
    if order == "tag":
        return items
    return sorted(items, key=ORDERS[order.removeprefix("-")], reverse=order.startswith("-"))


def _count(items, expected, moment):
    """How many items are in each state, and the state of each; times are compared as text, which is quick."""
    spans = {*expected.values(), QUIET_SECONDS}
    limits = {seconds: as_precise(moment - timedelta(seconds=seconds)) for seconds in spans}
    quiet = limits[QUIET_SECONDS]
    states = [
        "fresh" if item.changed_at >= (limits[expected[item.key]] if item.key in expected else quiet)
        else "stale" if item.key in expected else "quiet"
        for item in items
    ]
    return {name: states.count(name) for name in STATES[1:]}, states
