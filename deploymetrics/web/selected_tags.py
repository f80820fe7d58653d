"""Actions on the tags that were selected in the overview: export, expect posts, delete."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from flask import Response, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Role
from ..documents.schemas import check_tag
from ..documents.service import Item
from ..documents.transfer import export_expectations, export_tag
from ..errors import BadRequest, DeploymetricsError
from ..http.access import require_role
from ..services import services
from . import bp
from .editing import precondition_of, read_seconds
from .template_filters import counted, every, visible

MAX_SELECTED = 1000


@bp.post("/selected")
@require_role(Role.MASTER_OPERATOR)
def selected() -> ResponseReturnValue:
    """Carry out the action of the button on the selected tags; deleting asks first."""
    tags = list(dict.fromkeys(request.form.getlist("tag")))
    if not tags:
        flash("Nothing was selected.")
        return redirect(url_for("web.index"))
    if len(tags) > MAX_SELECTED:
        raise BadRequest(f"At most {MAX_SELECTED:,} tags can be selected at once.")
    for tag in tags:
        check_tag(tag)
    action = ACTIONS.get(request.form.get("action", ""))
    if action is None:
        raise BadRequest("There is no such action.")
    return action(tags)


def export(tags: list[str]) -> Response:
    """Send the tags with their histories and expectations, as ``deploymetrics import`` takes them."""
    store = services().store
    # Read before the answer begins: what is damaged is an error then, and not a file that breaks off.
    first = [next(export_tag(store, tag), b"") for tag in tags]

    def lines() -> Iterator[bytes]:
        for tag, line in zip(tags, first):
            if line:
                yield from export_tag(store, tag)
        yield from export_expectations(store, set(tags))

    headers = {"Content-Disposition": 'attachment; filename="deploymetrics.ndjson"', "Cache-Control": "no-store"}
    return Response(stream_with_context(lines()), mimetype="application/x-ndjson", headers=headers)


def expect_all(tags: list[str]) -> ResponseReturnValue:
    """Store an expectation for each of the tags; name those whose expectation cannot be stored."""
    seconds = read_seconds()
    failed = try_each(tags, lambda tag: services().expectations.set(tag, seconds, current_user.name))
    if number := len(tags) - len(failed):
        flash(f"{counted(number, 'tag')}: a post is expected {every(seconds)} now.")
    flash_failed(failed, "has no new expectation")
    return redirect(url_for("web.index"))


def try_each(tags: Iterable[str], do: Callable[[str], object]) -> dict[str, str]:
    """Call ``do`` with each of the tags; return why it failed by tag, where it did."""
    failed: dict[str, str] = {}
    for tag in tags:
        try:
            do(tag)
        except DeploymetricsError as error:
            failed[tag] = error.detail
    return failed


def flash_failed(failed: Mapping[str, str], outcome: str) -> None:
    """Show the first tags that failed, each with its ``outcome`` and why."""
    for tag, reason in islice(failed.items(), 10):
        flash(f"{visible(tag)} {outcome}: {reason}")


def ask_to_delete_all(tags: list[str]) -> str:
    """Render the page that lists which documents would be deleted, and which cannot be."""
    items: list[Item] = []

    def read(tag: str) -> None:
        services().documents.check_writable(tag)
        items.append(services().documents.get(tag))

    kept = try_each(tags, read)
    return render_template("web/selected.html", items=items, kept=kept)


def delete_all(tags: list[str]) -> ResponseReturnValue:
    """Delete the documents that nobody changed since the question was asked; name the others."""
    etags = request.form.getlist("etag")
    if len(etags) != len(tags):
        raise BadRequest("The form is not complete.")
    preconditions = {tag: precondition_of(etag) for tag, etag in zip(tags, etags)}
    author = current_user.name
    kept = try_each(tags, lambda tag: services().documents.delete(tag, author, preconditions[tag]))
    number = len(tags) - len(kept)
    are = "is" if number == 1 else "are"
    flash(f"{counted(number, 'document')} {are} deleted. See the filter “deleted” to bring one back.")
    flash_failed(kept, "is not deleted")
    return redirect(url_for("web.index"))


#: What the buttons do, by their value.
ACTIONS = {"export": export, "expect": expect_all, "delete": ask_to_delete_all, "delete-now": delete_all}
