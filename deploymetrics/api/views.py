"""The API under ``/api``. Each view's docstring is its documentation in the OpenAPI document."""

from typing import Any

from flask import Blueprint, current_app
from flask_login import current_user
from marshmallow import EXCLUDE

from ..accounts.records import Account, Role
from ..clock import as_precise
from ..documents.expectations import ExpectationBody, state_of
from ..documents.paging import page_of
from ..documents.service import Entry, Item
from ..documents.versions import as_of
from ..errors import NotFound
from ..http.access import on_fast_path, require_role
from ..http.arguments import HistoryArguments, ListArguments, parse_version
from ..http.document_responses import document_response, history_response, list_response, saved_response
from ..http.requests import Request, check_output, current_request
from ..http.responses import Response, check_value_precondition, empty_response, json_response, text_response
from ..schemas import load
from ..services import services
from ..telemetry.audited_requests import always_noted
from .openapi_schemas import (
    ANY_VALUE,
    DOCUMENT,
    EXPECTATION,
    INTERVAL,
    NUMBER,
    SINCE_UNTIL,
    TEXT,
    VERSION,
    answers,
    list_of,
)

bp = Blueprint("api", __name__, url_prefix="/api")

_FROM_1 = {**NUMBER, "minimum": 1}
_LIST_PAGE = ("limit", _FROM_1, "At most so many."), ("after", TEXT, "The tag after which the page begins.")
_HISTORY_PAGE = (
    ("limit", {**_FROM_1, "maximum": 1000, "default": 100}, "At most so many."),
    ("before", _FROM_1, "The version below which the page begins."),
    *SINCE_UNTIL,
)
_REVISION = ("ETag", "Last-Modified", "Link")


bp.before_request(check_output)


@bp.get("/deploymentmetrics")
@require_role(Role.MASTER_OPERATOR)
@answers(
    list_of(DOCUMENT),
    304,
    406,
    xml=True,
    query=_LIST_PAGE,
    headers=(*_REVISION, "Deploymetrics-Damaged", "Deploymetrics-Damaged-Count"),
)
@on_fast_path
def list_documents(request: Request, account: Account) -> Response:
    """List all documents, ordered by tag; with ``limit`` or ``after`` a page of them."""
    listing = services(request.app).documents.list()
    arguments = load(ListArguments(unknown=EXCLUDE), request.args) if request.query_string else {}
    return list_response(request, *page_of(listing, **arguments)) if arguments else list_response(request, listing)


@bp.get("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
@answers(DOCUMENT, 304, 404, 406, xml=True, headers=_REVISION)
@on_fast_path
def show_document(request: Request, account: Account, tag: str) -> Response:
    """Show the document with this tag."""
    documents = services(request.app).documents
    return document_response(request, documents.get(tag), documents.previous_change)


@bp.route("/deploymentmetrics/<tag>", methods=["POST", "PUT"])
@require_role(Role.MASTER_OPERATOR, Role.WEBUI_APP)
@answers(DOCUMENT, 406, 413, 415, 507, xml=True, body=ANY_VALUE, headers=_REVISION)
@on_fast_path
def save_document(request: Request, account: Account, tag: str) -> Response:
    """Create or update the document with this tag; the body is its metrics."""
    documents, quotas = services(request.app).documents, services(request.app).quotas
    documents.check_writable(tag)
    request.check_answerable()
    metrics = request.read_metrics(tag)
    quotas.count_post(account.record, tag, metrics)
    item = documents.save(tag, metrics, account.name, request.precondition, by_person=account.is_person)
    return saved_response(request, item)


@bp.delete("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
@answers(None, 404, 507)
@on_fast_path
def delete_document(request: Request, account: Account, tag: str) -> Response:
    """Delete the document with this tag."""
    services(request.app).documents.delete(tag, account.name, request.precondition)
    return empty_response()


@bp.get("/deploymentmetrics/<tag>/history")
@require_role(Role.MASTER_OPERATOR)
@answers(list_of(VERSION), 304, 404, 406, xml=True, query=_HISTORY_PAGE, headers=_REVISION)
def show_history(tag: str) -> Response:
    """List the versions of the document with this tag, newest first, a page at a time."""
    request, documents = current_request(), services().documents
    asked = load(HistoryArguments(), request.args)
    before = asked["before"]
    if asked["until"]:
        last = as_of(documents, tag, asked["until"])
        end = last.version + 1 if last else 1
        before = min(before or end, end)
    return history_response(request, documents.history(tag, before, asked["limit"], since=asked["since"]))


@bp.get("/deploymentmetrics/<tag>/history/<version>")
@require_role(Role.MASTER_OPERATOR)
@answers(DOCUMENT, 304, 404, 406, xml=True, headers=_REVISION)
def show_version(tag: str, version: str) -> Response:
    """Show the document as it was in one version."""
    documents = services().documents
    item = documents.version(tag, parse_version(version))
    return document_response(current_request(), item, documents.previous_change)


@bp.get("/expectations")
@require_role(Role.MASTER_OPERATOR)
@answers(list_of(EXPECTATION), 304, 406, headers=("ETag",))
def list_expectations() -> Response:
    """List how often tags are expected to be posted, and which are late. An extension, in JSON only."""
    listing = services().documents.list()
    expected = sorted(services().expectations.all().items())
    return json_response([expectation_json(tag, seconds, listing.find(tag)) for tag, seconds in expected])


@bp.get("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
@answers(EXPECTATION, 304, 404, 406, headers=("ETag",))
def show_expectation(tag: str) -> Response:
    """Show how often this tag is expected to be posted, and whether it is late."""
    return json_response(expectation_of(tag, services().expectations.of(tag)))


@bp.put("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
@answers(EXPECTATION, 406, 413, 415, 507, body=INTERVAL, headers=("ETag",))
def save_expectation(tag: str) -> Response:
    """Expect a post of this tag every so many seconds."""
    request = current_request()
    request.check_json()
    seconds = load(ExpectationBody(), request.read_object(tag))["everySeconds"]
    services().expectations.set(tag, seconds, current_user.name, lambda current: check_expectation(tag, current))
    return json_response(expectation_of(tag, seconds))


@bp.delete("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
@answers(None, 404, 507)
def delete_expectation(tag: str) -> Response:
    """Expect nothing of this tag any more."""

    def check(current: int | None) -> None:
        expectation_of(tag, current)
        check_expectation(tag, current)

    services().expectations.set(tag, None, current_user.name, check)
    return empty_response()


def expectation_of(tag: str, seconds: int | None) -> dict[str, Any]:
    """Return the expectation of a tag as JSON members; raises NotFound if ``seconds`` is None."""
    if seconds is None:
        raise NotFound("No expectation is set for this tag.", code="no-expectation")
    return expectation_json(tag, seconds, services().documents.find(tag))


def expectation_json(tag: str, seconds: int, item: Item | Entry | None) -> dict[str, Any]:
    """Return an expectation as JSON members; ``state`` and ``due`` are None where there is no document."""
    name, due = state_of(item, seconds, services().clock.now()) if item else (None, None)
    return {"tag": tag, "everySeconds": seconds, "state": name, "due": due and as_precise(due)}


def check_expectation(tag: str, seconds: int | None) -> None:
    """Raise PreconditionFailed, or BadRequest, unless the expectation fulfils the request's If-Match and the like."""
    check_value_precondition(None if seconds is None else expectation_of(tag, seconds))


@bp.get("/login")
@require_role(*Role)
@always_noted
@answers(TEXT, headers=("SessionToken",))
def login() -> Response:
    """Log in: the text ``ok``, and a token for the SessionToken header."""
    request = current_request()
    token = request.headers.get("SessionToken") or services().sessions.start(
        current_user, current_app.config["SESSION_SECONDS"], *request.client
    )
    return text_response("ok", {"SessionToken": token})
