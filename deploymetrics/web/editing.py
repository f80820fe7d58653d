"""Creating, changing and deleting documents. What somebody else wrote in between is never overwritten unseen."""

from typing import NamedTuple

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user

from ..accounts.service import Role
from ..documents.service import Condition
from ..errors import BadRequest, BodyTooLarge, MalformedBody, PreconditionFailed, ReservedTag, StorageError
from ..formats import rawjson
from ..http import error_handlers
from ..http.access import require_role
from ..services import services
from . import bp
from .figures.differences import compare
from .filters import tag_url, visible
from .login import form_limit

_AROUND = 60


class Wrong(NamedTuple):
    """Why the typed text was not taken, the field it is about, and the lines around its place, which is marked."""

    sentence: str
    field: str
    excerpt: str = ""


@bp.get("/new")
@require_role(Role.MASTER_OPERATOR)
def new():
    """The form for a new document."""
    return form(request.args.get("tag", ""), "[\n  {\n    \n  }\n]", "", new=True)


@bp.post("/new")
@require_role(Role.MASTER_OPERATOR)
def create():
    """Store a new document."""
    return store(request.form.get("tag", "").strip(), new=True)


@bp.get("/tags/<tag>/edit")
@require_role(Role.MASTER_OPERATOR)
def edit(tag):
    """The form with the document as it is."""
    services().service.check_writable(tag)
    item = services().service.get(tag)
    return form(tag, rawjson.indented(bytes(item.record.metrics)), item.etag)


@bp.post("/tags/<tag>/edit")
@require_role(Role.MASTER_OPERATOR)
def save(tag):
    """Store the document, if it is JSON and nobody else changed it since the form was made."""
    return store(tag)


@bp.get("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def ask_to_delete(tag):
    """The question whether to delete the document."""
    services().service.check_writable(tag)
    return render_template("web/delete.html", tag=tag, item=services().service.get(tag), moved=False)


@bp.post("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def delete(tag):
    """Delete the document, if nobody changed it since the question was asked."""
    try:
        services().service.delete(tag, current_user.name, condition_of(request.form.get("etag", "")))
    except PreconditionFailed as error:
        return render_template("web/delete.html", tag=tag, item=services().service.get(tag), moved=True), error.status
    flash(f"The document {visible(tag)} is deleted. It can be brought back: see the filter “deleted”.")
    return redirect(url_for("web.index"))


@bp.post("/tags/<tag>/expected")
@require_role(Role.MASTER_OPERATOR)
def expect(tag):
    """Say how often the tag is expected to be posted."""
    services().service.get(tag)
    text = request.form.get("every", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadRequest("The time is a whole number of seconds.", code="invalid-expectation")
    services().expectations.set(tag, int(text) or None, current_user.name)
    flash("The expectation is saved.")
    return redirect(tag_url("document", tag))


def store(tag, new=False):
    """Store the text of the form under the tag; the document's page, or the form again with what is wrong."""
    text, etag = request.form.get("metrics", ""), request.form.get("etag", "")
    try:
        metrics = check(tag, text)
        item = services().service.save(tag, metrics, current_user.name, condition_of(etag))
    except PreconditionFailed as error:
        item = services().service.find(tag)
        if not _is_done(item, metrics):
            return conflict(tag, text, metrics, item), error.status
    except (BadRequest, BodyTooLarge, ReservedTag) as error:
        return form(tag, text, etag, new, _wrong(error, text)), error.status
    except StorageError as error:
        request_id = error_handlers.log(error, error.log or error.detail)
        wrong = Wrong(f"{error.detail} What you typed is still here. Request id: {request_id}.", "metrics")
        return form(tag, text, etag, new, wrong), error.status, error.headers
    flash(f"Saved as version {item.version}.")
    return redirect(tag_url("document", item.key))


def check(tag, text):
    """The text as compact JSON; raises ReservedTag, BadRequest or BodyTooLarge. White space does not count."""
    services().service.check_writable(tag)
    metrics, limit = rawjson.compact(text.encode()), current_app.config["MAX_BODY_BYTES"]
    if len(metrics) > limit:
        raise BodyTooLarge(limit)
    return metrics


def form(tag, text, etag, new=False, wrong=None):
    """The editor's page."""
    return render_template("web/edit.html", tag=tag, text=text, etag=etag, new=new, wrong=wrong, limit=form_limit())


def conflict(tag, text, metrics, current):
    """The page with what was typed and the ``current`` Item, or None, that somebody else left there in between."""
    theirs = bytes(current.record.metrics) if current else None
    return render_template(
        "web/conflict.html", tag=tag, text=text, current=current, comparison=compare(theirs, metrics),
        theirs=rawjson.indented(theirs) if current else "", limit=form_limit(),
    )


def condition_of(etag):
    """The Condition that the document is still the one with this etag; an empty one stands for no document."""
    return Condition(match={etag}) if etag else Condition(none_match="*")


def _is_done(item, metrics):
    """Whether the Item, or None, is what is to be stored, by the same person: a button that was pressed twice."""
    return item is not None and bytes(item.record.metrics) == metrics and item.changed_by == current_user.name


def _wrong(error, text):
    if isinstance(error, BodyTooLarge):
        return Wrong(error.detail.replace("The body", "The document"), "metrics")
    if not isinstance(error, MalformedBody):
        return Wrong(error.detail, "tag")
    excerpt = _excerpt(text, error.extra["line"], error.extra["column"]) if "line" in error.extra else ""
    return Wrong(error.detail.replace("The body", "The text"), "metrics", excerpt)


def _excerpt(text, line, column):
    """The line with its number, the one before it, and a mark below the column; both cut to what is near it."""
    start, digits = max(column - _AROUND, 0), len(str(line))
    near = enumerate(text.split("\n")[max(line - 2, 0):line], max(line - 1, 1))
    lines = [f"{number:>{digits}} │ {found[start:column + _AROUND]}".rstrip() for number, found in near]
    return "\n".join([*lines, f"{'':>{digits}} │ {'':>{column - 1 - start}}^"]).replace("\t", " ")
