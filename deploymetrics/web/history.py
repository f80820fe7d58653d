"""The versions of a document, any two of them compared, and an earlier one brought back."""

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.service import Role
from ..documents.reserved import RESERVED_TAG
from ..documents.service import Item
from ..documents.values.leaves import shorten
from ..errors import PreconditionFailed
from ..formats import rawjson
from ..http.access import require_role
from ..http.arguments import parse_version
from ..services import services
from . import bp
from .documents import MAX_RAW
from .editing import precondition_of
from .figures.differences import compare
from .figures.presentation import lay_out
from .filters import tag_url

PER_PAGE = 50


@bp.get("/tags/<tag>/history")
@require_role(Role.MASTER_OPERATOR)
def history(tag: str) -> ResponseReturnValue:
    """Show the versions, newest first."""
    before = parse_version(request.args["before"]) if request.args.get("before") else None
    page = services().service.history(tag, before, PER_PAGE)
    return render_template(
        "web/history.html",
        tag=tag,
        items=page.items,
        before=before,
        older=page.next,
        current=services().service.find(tag),
        reserved=tag == RESERVED_TAG,
    )


@bp.get("/tags/<tag>/versions/<version>")
@require_role(Role.MASTER_OPERATOR)
def version(tag: str, version: str) -> ResponseReturnValue:
    """Show one version as it was."""
    return version_page(services().service.version(tag, parse_version(version)))


@bp.get("/tags/<tag>/compare")
@require_role(Role.MASTER_OPERATOR)
def comparison(tag: str) -> ResponseReturnValue:
    """Show the values in which two versions differ."""
    older, newer = sorted(parse_version(request.args.get(name, "")) for name in ("from", "to"))
    before, after = any_version(tag, older), any_version(tag, newer)
    return render_template(
        "web/compare.html",
        tag=tag,
        before=before,
        after=after,
        current=services().service.find(tag),
        reserved=tag == RESERVED_TAG,
        comparison=compare(metrics_of(before), metrics_of(after)),
    )


@bp.post("/tags/<tag>/versions/<version>/restore")
@require_role(Role.MASTER_OPERATOR)
def bring_back(tag: str, version: str) -> ResponseReturnValue:
    """Store an earlier version as the newest, unless somebody else wrote in between."""
    item, revision = services().service.version(tag, parse_version(version)), request.form.get("etag", "")
    try:
        metrics = bytes(item.record.metrics)
        saved = services().service.save(tag, metrics, current_user.name, precondition_of(revision), by_person=True)
    except PreconditionFailed as error:
        return version_page(item, moved=True), error.status
    flash(f"Version {item.version} is back, as version {saved.version}.")
    return redirect(tag_url("document", tag))


def version_page(item: Item, moved: bool = False) -> str:
    """Return the page of one version, an Item; ``moved`` says that another write kept it from being brought back."""
    json = rawjson.indented(item.value or b"")
    return render_template(
        "web/version.html",
        tag=item.key,
        item=item,
        layout=lay_out(rawjson.parse(bytes(item.record.metrics))),
        json=shorten(json, MAX_RAW),
        raw_cut=len(json) > MAX_RAW,
        current=services().service.find(item.key),
        reserved=item.key == RESERVED_TAG,
        moved=moved,
    )


def any_version(tag: str, version: int) -> Item:
    """Return the Item of a version, which may be a deletion; raises NotFound."""
    found = services().service.history(tag, version + 1, 1).items
    return found[0] if found and found[0].version == version else services().service.version(tag, version)


def metrics_of(item: Item) -> bytes | None:
    """Return the metrics of an Item as JSON text, or None for a deletion."""
    return None if item.deleted else bytes(item.record.metrics)
