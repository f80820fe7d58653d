"""Creating, editing and deleting documents, without overwriting what somebody else wrote in between."""

from typing import NamedTuple

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Role
from ..documents.expectations import check_seconds
from ..documents.precondition import Precondition
from ..documents.schemas import compact_metrics
from ..documents.service import Item
from ..errors import (
    BadRequest,
    BodyTooLargeError,
    DeploymetricsError,
    MalformedBodyError,
    PreconditionFailed,
    ReservedTagError,
    StorageError,
)
from ..formats import rawjson
from ..http import error_handlers
from ..http.access import require_role
from ..http.requests import current_request
from ..schemas import whole_number
from ..services import services
from . import bp
from .figures.differences import compare
from .template_filters import tag_url, visible

_AROUND = 60


class Mistake(NamedTuple):
    """A mistake in the form: a sentence, its field, and the lines of the text around its marked place."""

    sentence: str
    field: str
    excerpt: str = ""


@bp.get("/new")
@require_role(Role.MASTER_OPERATOR)
def new() -> ResponseReturnValue:
    """Show the form for a new document."""
    return edit_page(request.args.get("tag", ""), "[\n  {\n    \n  }\n]", "", new=True)


@bp.get("/tags/<tag>/edit")
@require_role(Role.MASTER_OPERATOR)
def edit(tag: str) -> ResponseReturnValue:
    """Show the form with the document as it is."""
    services().documents.check_writable(tag)
    item = services().documents.get(tag)
    return edit_page(tag, rawjson.indent(item.record.json), item.revision)


@bp.post("/new", endpoint="create")
@bp.post("/tags/<tag>/edit")
@require_role(Role.MASTER_OPERATOR)
def save(tag: str = "") -> ResponseReturnValue:
    """Store the text of the form, under its tag if it is a new document, or show the form again with what is wrong."""
    new, tag = not tag, tag or request.form.get("tag", "").strip()
    text, revision = request.form.get("metrics", ""), request.form.get("etag", "")
    try:
        services().documents.check_writable(tag)
        metrics = compact_metrics(text.encode(), tag)
        if len(metrics) > (limit := current_app.config["MAX_BODY_BYTES"]):  # white space does not count
            raise BodyTooLargeError(limit)
        item = services().documents.save(tag, metrics, current_user.name, precondition_of(revision), by_person=True)
    except PreconditionFailed as error:
        current = services().documents.find(tag)
        # What is to be stored may be there, by the same person: a button was pressed twice.
        if current is None or (current.record.json, current.changed_by) != (metrics, current_user.name):
            return conflict_page(tag, text, metrics, current), error.status
        item = current
    except (BadRequest, BodyTooLargeError, ReservedTagError) as error:
        return edit_page(tag, text, revision, new, _mistake_of(error, text)), error.status
    except StorageError as error:
        request_id = error_handlers.log_error(error, error.log or error.detail, current_request())
        mistake = Mistake(f"{error.detail} What you typed is still here. Request id: {request_id}.", "metrics")
        return edit_page(tag, text, revision, new, mistake), error.status, error.headers
    flash(f"Saved as version {item.version}.")
    return redirect(tag_url("document", item.key))


@bp.get("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def ask_to_delete(tag: str) -> ResponseReturnValue:
    """Ask whether to delete the document."""
    services().documents.check_writable(tag)
    return render_template("web/delete.html", tag=tag, item=services().documents.get(tag), is_conflict=False)


@bp.post("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def delete(tag: str) -> ResponseReturnValue:
    """Delete the document, if nobody changed it since the question was asked."""
    try:
        services().documents.delete(tag, current_user.name, precondition_of(request.form.get("etag", "")))
    except PreconditionFailed as error:
        return render_template(
            "web/delete.html", tag=tag, item=services().documents.get(tag), is_conflict=True
        ), error.status
    flash(f"The document {visible(tag)} is deleted. It can be brought back: see the filter “deleted”.")
    return redirect(url_for("web.index"))


@bp.post("/tags/<tag>/expected")
@require_role(Role.MASTER_OPERATOR)
def expect(tag: str) -> ResponseReturnValue:
    """Say how often the tag is expected to be posted."""
    services().documents.get(tag)
    services().expectations.set(tag, read_seconds(), current_user.name)
    flash("The expectation is saved.")
    return redirect(tag_url("document", tag))


@bp.post("/tags/<tag>/headline")
@require_role(Role.MASTER_OPERATOR)
def choose_headline(tag: str) -> ResponseReturnValue:
    """Say which number of the tag the overview shows, and its unit."""
    services().documents.get(tag)
    number, unit = request.form.get("number", ""), request.form.get("unit", "").strip()
    services().headlines.set(tag, number[1:] if number else None, unit, current_user.name)
    flash("The overview shows this number now." if number else "The overview chooses the number now.")
    return redirect(tag_url("document", tag))


def read_seconds() -> int | None:
    """Return the expected seconds in the current request's form, or None for 0; raises BadRequest."""
    seconds = whole_number(request.form.get("every", ""), 9)
    if seconds is None:
        raise BadRequest("The time is a whole number of seconds.", code="invalid-expectation")
    if seconds:
        check_seconds(seconds)
    return seconds or None


def edit_page(tag: str, text: str, revision: str, new: bool = False, wrong: Mistake | None = None) -> str:
    """Render the form to edit a document, with the mistake in its text, if any."""
    return render_template("web/edit.html", tag=tag, text=text, revision=revision, new=new, wrong=wrong)


def conflict_page(tag: str, text: str, metrics: bytes, current: Item | None) -> str:
    """Render the page that compares a typed document with the ``current`` one (or None), stored by others meanwhile."""
    theirs = current.record.json if current else None
    return render_template(
        "web/conflict.html",
        tag=tag,
        text=text,
        current=current,
        comparison=compare(theirs, metrics),
        theirs=rawjson.indent(theirs) if theirs else "",
    )


def precondition_of(revision: str) -> Precondition:
    """Return the Precondition that the document still has this revision; an empty one stands for no document."""
    return Precondition(match=frozenset({revision})) if revision else Precondition(none_match="*")


def _mistake_of(error: DeploymetricsError, text: str) -> Mistake:
    if isinstance(error, BodyTooLargeError):
        return Mistake(error.detail.replace("The body", "The document"), "metrics")
    if not isinstance(error, MalformedBodyError):
        return Mistake(error.detail, "tag")
    excerpt = _excerpt(text, error.extra["line"], error.extra["column"]) if "line" in error.extra else ""
    return Mistake(error.detail.replace("The body", "The text"), "metrics", excerpt)


def _excerpt(text: str, line: int, column: int) -> str:
    """Return a line and the one before it with their numbers, cut around the column, and a mark below that."""
    start, digits = max(column - _AROUND, 0), len(str(line))
    numbered_lines = enumerate(text.split("\n")[max(line - 2, 0) : line], max(line - 1, 1))
    lines = [f"{number:>{digits}} │ {text[start : column + _AROUND]}".rstrip() for number, text in numbered_lines]
    return "\n".join([*lines, f"{'':>{digits}} │ {'':>{column - 1 - start}}^"]).replace("\t", " ")
