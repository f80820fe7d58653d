"""The overview: every tag at a glance."""

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Role
from ..documents.expectations import STALE, state_of
from ..documents.headlines import Headline
from ..http.access import require_role
from ..http.document_responses import resource_url
from ..services import services
from . import bp
from .overview_cache import Spark, overview_cache
from .overview_list import DELETED, Group, Listed, read_query, select_page
from .template_filters import duration


class Row(NamedTuple):
    """A row of the overview; ``late`` is how long a stale document is overdue, for people."""

    item: Listed
    url: str
    state: str
    late: str
    spark: Spark | None


@bp.get("/")
@require_role(*Role)
def index() -> ResponseReturnValue:
    """Show the overview to master operators, and to others what they may do."""
    if current_user.role is not Role.MASTER_OPERATOR:
        return render_template("web/welcome.html")
    listing, expected = services().documents.list(), services().expectations.all()
    query, now = read_query(), services().clock.now()
    deletions, damaged = services().documents.list_deleted(listing) if query.state == DELETED else ([], [])
    page = select_page(listing.items, deletions, query, expected, now)
    headlines = services().headlines.all()
    rows = [
        item if isinstance(item, Group) else make_row(item, expected.get(item.key), headlines.get(item.key), now)
        for item in page.items
    ]
    return render_template(
        "web/overview.html",
        rows=rows,
        query=query,
        shown=page,
        damaged=[*listing.damaged, *damaged],
        first_url=resource_url("custom", request.url_root),
        live={"url": url_for("api.list_documents"), "etag": listing.revision, "new": "Something has changed."},
    )


def make_row(item: Listed, seconds: int | None, headline: Headline | None, now: datetime) -> Row:
    """Return the Row of a document; ``seconds`` is the expected interval of its tag, or None."""
    url = f"{request.script_root}/tags/{quote(item.key, safe='')}"  # url_for takes a hundred times as long
    if item.deleted:
        return Row(item, url, DELETED, "", None)
    current = state_of(item, seconds, now)
    late = f"{duration((now - current.due).total_seconds())} late" if current.due and current.name == STALE else ""
    return Row(item, url, current.name, late, overview_cache().spark(item, headline))
