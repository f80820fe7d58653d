"""Creating, changing and deleting documents. What somebody else wrote in between is never overwritten unseen."""

from typing import NamedTuple

import msgspec
from flask import current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user

from .. import rawjson
from ..accounts import Role
from ..auth import require_role
from ..figures.differences import compare
from ..errors import BadRequest, BodyTooLarge, MalformedBody, NotFound, PreconditionFailed, ReservedTag
from ..service import Condition
from . import bp, parts
from .login import allow_large_form
from .words import tag_url

_AROUND = 60


class Wrong(NamedTuple):
    """Why the typed text was not taken, the field it is about, and the line of the text with a mark below its place."""

    sentence: str
    field: str
    excerpt: str = ""
    mark: str = ""


@bp.before_request
def expect_large_form():
    """A form holds a document, and a browser writes more around it than a program does."""
    if request.method == "POST":
        allow_large_form()


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
    parts().service.check_writable(tag)
    item = parts().service.get(tag)
    return form(tag, msgspec.json.format(bytes(item.record.metrics), indent=2).decode(), item.etag)


@bp.post("/tags/<tag>/edit")
@require_role(Role.MASTER_OPERATOR)
def save(tag):
    """Store the document, if it is JSON and nobody else changed it since the form was made."""
    return store(tag)


@bp.get("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def ask_to_delete(tag):
    """The question whether to delete the document."""
    parts().service.check_writable(tag)
    return render_template("web/delete.html", tag=tag, item=parts().service.get(tag), moved=False)


@bp.post("/tags/<tag>/delete")
@require_role(Role.MASTER_OPERATOR)
def delete(tag):
    """Delete the document, if nobody changed it since the question was asked."""
    try:
        parts().service.delete(tag, current_user.name, condition_of(request.form.get("etag", "")))
    except PreconditionFailed as error:
        return render_template("web/delete.html", tag=tag, item=parts().service.get(tag), moved=True), error.status
    flash(f"The document {tag} is deleted. Its history stays, and it can be brought back from there.")
    return redirect(url_for("web.index"))


@bp.post("/tags/<tag>/expected")
@require_role(Role.MASTER_OPERATOR)
def expect(tag):
    """Say how often the tag is expected to be posted."""
    parts().service.get(tag)
    text = request.form.get("every", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadRequest("The time is a whole number of seconds.", code="invalid-expectation")
    parts().expectations.set(tag, int(text) or None, current_user.name)
    flash("The expectation is stored.")
    return redirect(tag_url("document", tag))


def store(tag, new=False):
    """Store the text of the form under the tag; the document's page, or the form again with what is wrong."""
    text, etag = request.form.get("metrics", ""), request.form.get("etag", "")
    try:
        metrics = check(tag, text)
        item = parts().service.save(tag, metrics, current_user.name, condition_of(etag))
    except PreconditionFailed as error:
        return conflict(tag, text, metrics), error.status
    except (BadRequest, BodyTooLarge, ReservedTag) as error:
        return form(tag, text, etag, new, _wrong(error, text)), error.status
    flash(f"Saved as version {item.version}.")
    return redirect(tag_url("document", item.key))


def check(tag, text):
    """The text as compact JSON; raises ReservedTag, BadRequest or BodyTooLarge."""
    parts().service.check_writable(tag)
    body, limit = text.encode(), current_app.config["MAX_BODY_BYTES"]
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return rawjson.compact(body)


def form(tag, text, etag, new=False, wrong=None):
    """The editor's page."""
    return render_template("web/edit.html", tag=tag, text=text, etag=etag, new=new, wrong=wrong)


def conflict(tag, text, metrics):
    """The page with what was typed and what somebody else stored in between."""
    current = current_of(tag)
    theirs = bytes(current.record.metrics) if current else None
    return render_template(
        "web/conflict.html", tag=tag, text=text, current=current, comparison=compare(theirs, metrics),
        theirs=msgspec.json.format(theirs, indent=2).decode() if current else "",
    )


def current_of(tag):
    """The current Item of a tag, or None."""
    try:
        return parts().service.get(tag)
    except NotFound:
        return None


def condition_of(etag):
    """The Condition that the document is still the one with this etag; an empty one stands for no document."""
    return Condition(match={etag}) if etag else Condition(none_match="*")


def _wrong(error, text):
    if not isinstance(error, MalformedBody) or "line" not in error.extra:
        return Wrong(error.detail, "metrics" if isinstance(error, (MalformedBody, BodyTooLarge)) else "tag")
    lines = text.split("\n")
    line, column = error.extra["line"], error.extra["column"]
    start = max(column - _AROUND, 0)
    excerpt = lines[line - 1][start:column + _AROUND].rstrip("\r") if line <= len(lines) else ""
    return Wrong(error.detail, "metrics", excerpt.replace("\t", " "), " " * (column - 1 - start) + "^")
