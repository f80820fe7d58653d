"""The page of one document: its values, its plots over time, and how a program gets it."""

import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup

from ..accounts.service import Role
from ..clock import as_precise
from ..collector.task import read_states
from ..documents.expectations import state
from ..documents.reserved import RESERVED_TAG
from ..documents.service import Item
from ..documents.values.leaves import shorten
from ..documents.values.series import Collected, Recent, Series, collect, recent
from ..errors import DamagedItem, NotFound
from ..formats import besxml, rawjson
from ..http.access import require_role
from ..http.responses import entry_of, resource_url
from ..services import services
from . import bp
from .figures.plots import MAX_POINTS, plot
from .figures.presentation import MAX_CELL, lay_out
from .filters import page_number

RANGES = {"day": ("Day", 1), "week": ("Week", 7), "month": ("Month", 31), "year": ("Year", 366), "all": ("All", None)}
PLOTS_PER_PAGE = 12
MAX_RAW = 50_000
MAX_FIGURES = 100


class Raw(NamedTuple):
    """The document in one form, ``json`` or ``xml``, and whether its text is cut or missing because it is too long."""

    form: str
    text: str
    cut: bool


class Plots(NamedTuple):
    """The part of the page about history.

    ``figures`` are (series, svg), ``table`` has the same figures as (time, texts), ``found`` counts the series that the
    search ``q`` found.
    """

    figures: list[tuple[Series, Markup]]
    table: list[tuple[str, list[str]]]
    notes: list[str]
    span: str
    found: int
    page: int
    pages: int
    q: str


@bp.get("/tags/<tag>")
@require_role(Role.MASTER_OPERATOR)
def document(tag: str) -> ResponseReturnValue:
    """Show a document, or when it was deleted and by whom; of the server's own tag also what its collector says."""
    reserved = tag == RESERVED_TAG
    sources = read_states(services().service.store) if reserved else ()
    item = services().service.find(tag)
    if item is None:
        return deleted_page(tag, reserved, sources), 404
    seconds = services().expectations.of(tag)
    return render_template(
        "web/document.html",
        tag=tag,
        item=item,
        every=seconds,
        state=state(item.changed_at, seconds, services().clock.now()),
        layout=lay_out(rawjson.parse(bytes(item.record.metrics))),
        plots=read_plots(tag),
        ranges=RANGES,
        raws=raw_forms(item),
        curl=curl_line(tag),
        reserved=reserved,
        sources=sources,
    )


def deleted_page(tag: str, reserved: bool, sources: Any) -> str:
    """Return the page of a tag without a document, with the last version that can be brought back.

    Raises NotFound for a tag that never had one, but for the server's own, which waits for its first collection.
    """
    try:
        deletion, *before = services().service.history(tag, limit=2).items
    except NotFound:
        if not reserved:
            raise
        deletion, before = None, []
    item = before[0] if before and not before[0].deleted else None
    layout = lay_out(rawjson.parse(bytes(item.record.metrics))) if item else None
    return render_template(
        "web/deleted.html",
        tag=tag,
        deletion=deletion,
        item=item,
        layout=layout,
        reserved=reserved,
        sources=sources,
        current=None,
    )


def read_plots(tag: str) -> Plots:
    """Return the Plots that the current request's URL asks for: ``range``, ``plots`` (a page of them) and ``name``."""
    span = request.args.get("range", "all")
    span = span if span in RANGES else "all"
    days = RANGES[span][1]
    since = as_precise(services().clock.now() - timedelta(days=days)) if days else ""
    notes: list[str] = []
    try:
        versions = recent(services().service, tag, since)
    except DamagedItem as error:  # the document itself can be read
        versions, notes = Recent([], False), [f"The history cannot be read: {error.detail}"]
    collected = collect(versions.items)
    q = request.args.get("name", "").strip()[:200]
    found = [series for series in collected.series if q.casefold() in series.name.casefold()]
    pages = max(-(-len(found) // PLOTS_PER_PAGE), 1)
    page = min(page_number("plots"), pages)
    first = (page - 1) * PLOTS_PER_PAGE
    shown = found[first : first + PLOTS_PER_PAGE]
    figures = [(series, plot(series.name or "value", series.points)) for series in shown]
    table = _figure_table(versions.items, shown)
    notes += _notes(versions, collected, shown)
    return Plots(figures, table, notes, span, len(found), page, pages, q)


def raw_forms(item: Item) -> list[Raw]:
    """Return the Raw texts of the document: JSON laid out in lines, and XML, unless it would be cut."""
    value = item.value or b""
    xml = besxml.render_document(entry_of(item, request.url_root)).decode() if len(value) <= MAX_RAW else None
    texts = ("json", rawjson.indented(value)), ("xml", xml)
    return [Raw(form, shorten(text or "", MAX_RAW), text is None or len(text) > MAX_RAW) for form, text in texts]


def curl_line(tag: str) -> str:
    """Return the command that fetches the document."""
    return f"curl -u {shlex.quote(current_user.name)} {shlex.quote(resource_url(tag, request.url_root))}"


def _figure_table(items: list[Item], shown: list[Series]) -> list[tuple[str, list[str]]]:
    """Return (time, texts) of the newest versions, newest first; a text is empty where a version lacks the number."""
    columns = [{point.version: shorten(point.text, MAX_CELL) for point in series.points} for series in shown]
    newest = items[: -MAX_FIGURES - 1 : -1]
    return [(item.changed_at, [texts.get(item.version, "") for texts in columns]) for item in newest]


def _notes(versions: Recent, collected: Collected, shown: list[Series]) -> Iterator[str]:
    if versions.cut:
        yield f"Older versions are left out: the plots show the newest {len(versions.items):,} of this range."
    if collected.cut:
        yield "There are more numbers than a page can read; those of the oldest versions are left out."
    if any(len(series.points) > MAX_POINTS for series in shown):
        yield f"Of each plot at most {MAX_POINTS} values are drawn, the lowest and highest of each stretch among them."
    if shown and len(versions.items) > MAX_FIGURES:
        yield f"The table has the newest {MAX_FIGURES} of {len(versions.items):,} versions."
