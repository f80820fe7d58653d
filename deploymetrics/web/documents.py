"""The page of one document: its values, its plots over time, and its raw forms."""

import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Role
from ..collector.states import read_states
from ..documents.expectations import state_of
from ..documents.headlines import SPARK_BYTES
from ..documents.reserved import RESERVED_TAG
from ..documents.service import Item
from ..documents.values.measures import measures
from ..documents.values.places import shorten
from ..errors import NotFound
from ..formats import besxml, rawjson
from ..http.access import require_role
from ..http.document_responses import element_of, resource_url
from ..services import services
from . import bp
from .document_plots import read_plots
from .figures.layout import lay_out, tables_in
from .plot import MAX_CHOICES
from .template_filters import page_number, tag_url
from .time_range import RANGES

MAX_RAW = 50_000


class TableQuery(NamedTuple):
    """The part of a document's table that the URL asks for: which array (``at``), search, order and page.

    ``places`` are the names of the document's arrays. The URL has only what is not the default.
    """

    tag: str
    places: list[str]
    at: str = ""
    find: str = ""
    sort: str = ""
    page: int = 1

    def url(self, **changes: Any) -> str:
        """Return the URL of the document's page with this query, changed."""
        query = self._replace(**changes)
        values = {"at": query.at, "find": query.find, "sort": query.sort, "rows": query.page if query.page > 1 else ""}
        return tag_url("document", self.tag, **{name: value for name, value in values.items() if value}) + "#values"

    def order_for(self, column: str) -> str:
        """Return the order for a click on a column's head: the largest first, then the smallest."""
        return column if self.sort == f"-{column}" else f"-{column}"


def read_query(tag: str, places: list[str]) -> TableQuery:
    """Return the TableQuery in the current request's URL."""
    at, find, sort = (request.args.get(name, "").strip()[:200] for name in ("at", "find", "sort"))
    return TableQuery(tag, places, at if at in places else "", find, sort, page_number("rows"))


@bp.get("/tags/<tag>")
@require_role(Role.MASTER_OPERATOR)
def document(tag: str) -> ResponseReturnValue:
    """Show a document, or when it was deleted and by whom; of the server's own tag also what its collector says."""
    sources = read_states(services().store) if tag == RESERVED_TAG else ()
    item = services().documents.find(tag)
    if item is None:
        return deleted_page(tag, sources), 404
    seconds = services().expectations.of(tag)
    value = item.record.parse()
    arrays = tables_in(value)
    query = read_query(tag, list(arrays))
    value = arrays.get(query.at, value)
    return render_template(
        "web/document.html",
        tag=tag,
        item=item,
        live={"url": url_for("api.show_document", tag=tag), "etag": item.revision, "new": "There is a new version."},
        seconds=seconds,
        state=state_of(item, seconds, services().clock.now()),
        layout=lay_out(value, query.find, query.sort, query.page),
        query=query,
        count=len(value) if isinstance(value, list) else 1,
        plots=read_plots(tag),
        ranges=RANGES,
        headline=services().headlines.of(tag),
        numbers=list(measures([item]).by_name)[:MAX_CHOICES] if item.size <= SPARK_BYTES else [],
        raws=raw_forms(item),
        curl=f"curl -u {shlex.quote(current_user.name)} {shlex.quote(resource_url(tag, request.url_root))}",
        sources=sources,
    )


def deleted_page(tag: str, sources: Any) -> str:
    """Render the page of a tag whose document was deleted, with the last version, which can be brought back.

    Raises NotFound for a tag that never had one, but for the server's own, which waits for its first collection.
    """
    try:
        deletion, *before = services().documents.history(tag, limit=2).items
    except NotFound:
        if tag != RESERVED_TAG:
            raise
        deletion, before = None, []
    item = before[0] if before and not before[0].deleted else None
    layout = lay_out(item.record.parse()) if item else None
    return render_template("web/deleted.html", tag=tag, deletion=deletion, item=item, layout=layout, sources=sources)


def raw_forms(item: Item) -> Iterator[tuple[str, str, bool]]:
    """Yield (``json`` or ``xml``, text, True if it is cut) for a document; XML is left out rather than cut."""
    value = item.value or b""
    xml = (
        besxml.render_document(element_of(item, item.record, request.url_root)).decode()
        if len(value) <= MAX_RAW
        else None
    )
    for form, text in (("json", rawjson.indent(value)), ("xml", xml)):
        yield form, shorten(text or "", MAX_RAW), text is None or len(text) > MAX_RAW
