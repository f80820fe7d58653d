"""The page of one document: its values, its plots over time, and how a program gets it."""

import shlex
from datetime import timedelta
from typing import NamedTuple

from flask import render_template, request
from flask_login import current_user

from ..accounts.service import Role
from ..clock import as_precise
from ..collector.task import read_states
from ..documents.expectations import state
from ..documents.reserved import RESERVED_TAG
from ..errors import DamagedItem, NotFound
from ..formats import besxml, rawjson
from ..http.access import require_role
from ..http.responses import entry_of, resource_url
from ..services import services
from . import bp
from .figures.flatten import shorten
from .figures.plots import MAX_POINTS, plot
from .figures.presentation import lay_out
from .figures.series import Recent, collect, recent
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
    """The part of the page about history: ``figures`` are (name, svg, points), ``table`` has the same figures."""

    figures: list
    table: list
    notes: list
    span: str
    found: int
    page: int
    pages: int
    q: str


@bp.get("/tags/<tag>")
@require_role(Role.MASTER_OPERATOR)
def document(tag):
    """A document, or when it was deleted and by whom; for the tag that is the server's own what the collector says."""
    reserved = tag == RESERVED_TAG
    sources = read_states(services().service.store) if reserved else ()
    item = services().service.find(tag)
    if item is None:
        return render_template("web/deleted.html", tag=tag, item=last_of(tag), reserved=reserved, sources=sources), 404
    seconds = services().expectations.of(tag)
    return render_template(
        "web/document.html", tag=tag, item=item, every=seconds,
        state=state(item.changed_at, seconds, services().clock.now()),
        layout=lay_out(rawjson.parse(bytes(item.record.metrics))), plots=read_plots(tag), ranges=RANGES,
        raws=raw_forms(item), curl=curl_line(tag), reserved=reserved, sources=sources,
    )


def last_of(tag):
    """The deletion that ended a tag; None for the server's own tag before its first collection. Raises NotFound."""
    try:
        return services().service.history(tag, limit=1).items[0]
    except NotFound:
        if tag != RESERVED_TAG:
            raise
        return None


def read_plots(tag):
    """The Plots that the current request's URL asks for: ``range``, ``plots`` (a page of them) and ``name``."""
    span = request.args.get("range") if request.args.get("range") in RANGES else "all"
    days = RANGES[span][1]
    since = as_precise(services().clock.now() - timedelta(days=days)) if days else ""
    try:
        versions, notes = recent(services().service, tag, since), []
    except DamagedItem as error:  # the document itself can be read
        versions, notes = Recent([], False), [f"The history cannot be read: {error.detail}"]
    collected = collect(versions.items)
    q = request.args.get("name", "").strip()[:200]
    names = [name for name in collected.series if q.casefold() in name.casefold()]
    pages = max(-(-len(names) // PLOTS_PER_PAGE), 1)
    page = min(page_number("plots"), pages)
    first = (page - 1) * PLOTS_PER_PAGE
    shown = names[first:first + PLOTS_PER_PAGE]
    figures = [(name, plot(name or "value", collected.series[name]), collected.series[name]) for name in shown]
    table = _figure_table(versions.items, [points for _, _, points in figures])
    notes += _notes(versions, collected, figures)
    return Plots(figures, table, notes, span, len(names), page, pages, q)


def raw_forms(item):
    """The Raw texts of the document: JSON laid out in lines, and XML, which is not even made where it would be cut."""
    xml = besxml.render_document(entry_of(item, request.url_root)).decode() if len(item.value) <= MAX_RAW else None
    texts = ("json", rawjson.indented(item.value)), ("xml", xml)
    return [Raw(form, shorten(text or "", MAX_RAW), text is None or len(text) > MAX_RAW) for form, text in texts]


def curl_line(tag):
    """The command that fetches the document."""
    return f"curl -u {shlex.quote(current_user.name)} {shlex.quote(resource_url(tag, request.url_root))}"


def _figure_table(items, columns):
    """(time, texts) of the newest versions, newest first; a text is empty where a version lacks the number."""
    by_time = [{point.changed_at: point.text for point in points} for points in columns]
    newest = [item.changed_at for item in reversed(items)][:MAX_FIGURES]
    return [(at, [texts.get(at, "") for texts in by_time]) for at in newest]


def _notes(versions, collected, figures):
    if versions.cut:
        yield f"Older versions are left out: the plots show the newest {len(versions.items):,} of this range."
    if collected.cut:
        yield f"There are more numbers than a page can plot; these are the first {len(collected.series):,}."
    if any(len(points) > MAX_POINTS for _, _, points in figures):
        yield f"Of each plot at most {MAX_POINTS} values are drawn, the lowest and highest of each stretch among them."
    if figures and len(versions.items) > MAX_FIGURES:
        yield f"The table has the newest {MAX_FIGURES} of {len(versions.items):,} versions."
