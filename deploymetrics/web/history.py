"""The history of a document: its versions, two of them compared, and an earlier one brought back."""

from collections import Counter
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Role
from ..clock import as_precise
from ..documents.paging import Page, first_items
from ..documents.service import Item
from ..documents.values.places import shorten
from ..documents.versions import as_of
from ..errors import BadRequest, PreconditionFailed
from ..formats import rawjson
from ..http.access import require_role
from ..http.arguments import parse_version
from ..services import services
from . import bp
from .documents import MAX_RAW
from .editing import precondition_of
from .figures.differences import compare
from .figures.layout import lay_out
from .template_filters import fold_case, tag_url
from .time_range import RANGES, read_moment

PER_PAGE = 50
#: How many versions are looked at to find those of an author, or to count who wrote; and how many bytes of them.
MAX_VERSIONS, MAX_BYTES = 4096, 2**27
MAX_AUTHORS = 10


class HistoryQuery(NamedTuple):
    """The part of a history that the URL asks for, and the versions picked to be compared.

    ``by`` is a part of an author's name, ``at`` the moment up to which they were written, and ``wrong`` what is no
    moment.
    """

    before: int | None
    by: str
    at: datetime | None
    wrong: str
    picked: dict[str, int]


@bp.get("/tags/<tag>/history")
@require_role(Role.MASTER_OPERATOR)
def history(tag: str) -> ResponseReturnValue:
    """Show the versions of a document, newest first."""
    query = read_query()
    page = read_page(tag, query)
    here = {item.version for item in page.items}
    return render_template(
        "web/history.html",
        tag=tag,
        items=page.items,
        query=query,
        elsewhere={name: version for name, version in query.picked.items() if version not in here},
        older=page.next,
        current=services().documents.find(tag),
    )


def read_query() -> HistoryQuery:
    """Return the HistoryQuery in the current request's URL."""
    args = request.args
    at, wrong = read_moment(args.get("at", "").strip()), args.get("at", "").strip()[:40]
    picked = {name: parse_version(args[name]) for name in ("from", "to") if args.get(name)}
    before = parse_version(args["before"]) if args.get("before") else None
    return HistoryQuery(before, args.get("by", "").strip()[:200], at, "" if at else wrong, picked)


def read_page(tag: str, query: HistoryQuery) -> Page:
    """Return the page of versions that a HistoryQuery asks for, after skipping a limited number by other authors."""
    documents, before = services().documents, query.before
    if query.at and before is None:
        newest = as_of(documents, tag, as_precise(query.at))
        before = newest.version + 1 if newest else 1
    if not query.by:
        return documents.history(tag, before, PER_PAGE)
    documents.newest(tag)  # raises NotFound if there never was one
    versions = documents.versions(tag, before)
    items: list[Item] = []
    for item in first_items(versions, MAX_VERSIONS, MAX_BYTES):
        if fold_case(query.by) in fold_case(item.changed_by):
            items.append(item)
        if len(items) > PER_PAGE:
            return Page(items[:PER_PAGE], items[PER_PAGE - 1].version)
    older = next(versions, None)
    return Page(items, older and older.version + 1)


@bp.get("/tags/<tag>/versions/<version>")
@require_role(Role.MASTER_OPERATOR)
def version(tag: str, version: str) -> ResponseReturnValue:
    """Show one version of a document as it was."""
    return version_page(services().documents.version(tag, parse_version(version)))


@bp.get("/tags/<tag>/compare")
@require_role(Role.MASTER_OPERATOR)
def comparison(tag: str) -> ResponseReturnValue:
    """Show the values in which two versions differ, and who wrote in between.

    ``since`` takes the version that was there a day or a week ago, or at a moment, and the newest one.
    """
    before, after = read_versions(tag)
    authors, has_more = authors_between(tag, before, after)
    return render_template(
        "web/compare.html",
        tag=tag,
        before=before,
        after=after,
        authors=authors.most_common(MAX_AUTHORS),
        written=authors.total(),
        more=has_more,
        current=services().documents.find(tag),
        comparison=compare(*(None if item.deleted else item.record.json for item in (before, after))),
    )


def read_versions(tag: str) -> tuple[Item, Item]:
    """Return the two versions in the current request's URL, the older one first."""
    documents, since = services().documents, request.args.get("since", "").strip()
    if not since:
        older, newer = sorted(parse_version(request.args.get(name, "")) for name in ("from", "to"))
        return documents.version(tag, older, or_deletion=True), documents.version(tag, newer, or_deletion=True)
    length = RANGES.get(since, ("", None))[1]
    moment = services().clock.now() - length if length else read_moment(since)
    if moment is None:
        raise BadRequest("since is day, week, month, year, or a date such as 2026-03-31.")
    return as_of(documents, tag, as_precise(moment)) or documents.oldest(tag), documents.newest(tag)


def authors_between(tag: str, before: Item, after: Item) -> tuple[Counter[str], bool]:
    """Count by author the versions after one up to another; also return True if there are too many to count."""
    versions = services().documents.versions(tag, after.version + 1)
    written = takewhile(lambda item: item.version > before.version, versions)
    authors = Counter(item.changed_by for item in first_items(written, MAX_VERSIONS, MAX_BYTES))
    return authors, next(written, None) is not None


@bp.post("/tags/<tag>/versions/<version>/restore")
@require_role(Role.MASTER_OPERATOR)
def bring_back(tag: str, version: str) -> ResponseReturnValue:
    """Store an earlier version as the newest, unless somebody else wrote in between."""
    item, revision = services().documents.version(tag, parse_version(version)), request.form.get("etag", "")
    try:
        metrics = item.record.json
        saved = services().documents.save(tag, metrics, current_user.name, precondition_of(revision), by_person=True)
    except PreconditionFailed as error:
        return version_page(item, is_conflict=True), error.status
    flash(f"Version {item.version} is back, as version {saved.version}.")
    return redirect(tag_url("document", tag))


def version_page(item: Item, is_conflict: bool = False) -> str:
    """Render the page of one version, an Item; ``is_conflict`` if another write kept it from being brought back."""
    json = rawjson.indent(item.value or b"")
    return render_template(
        "web/version.html",
        tag=item.key,
        item=item,
        layout=lay_out(item.record.parse()),
        json=shorten(json, MAX_RAW),
        raw_cut=len(json) > MAX_RAW,
        current=services().documents.find(item.key),
        is_conflict=is_conflict,
    )
