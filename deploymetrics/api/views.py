"""The API under ``/api``. Each view's docstring is its documentation in the OpenAPI document."""

from flask import Blueprint, Response, current_app, request
from flask_login import current_user
from werkzeug.exceptions import NotFound

from .. import errors
from ..accounts.service import Role
from ..documents.expectations import ExpectationBody, status
from ..documents.service import page_of, parse_version
from ..http.access import require_role
from ..http.arguments import HistoryArguments, ListArguments, OutputArguments
from ..http.requests import check_answerable, read_condition, read_metrics, read_object
from ..http.responses import answer_document, answer_history, answer_list, answer_plain
from ..schemas import load
from ..services import services
from . import openapi

bp = Blueprint("api", __name__, url_prefix="/api")

TEXT = "text/plain"


@bp.before_request
def check_output():
    """Refuse another ``output`` than json and xml, also where an answer has no format."""
    if request.environ.get("QUERY_STRING"):
        load(OutputArguments(), request.args)


def no_content():
    """The answer to a deletion, which has no body and so no Content-Type."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


@bp.get("/deploymentmetrics")
@require_role(Role.MASTER_OPERATOR)
def list_documents():
    """All documents, ordered by tag; with ``limit`` or ``after`` a page of them."""
    listing = services().service.list()
    if not request.query_string:
        return answer_list(listing)
    arguments = load(ListArguments(), request.args)
    return answer_list(listing, page_of(listing, **arguments) if arguments else None)


@bp.get("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
def show_document(tag):
    """The document with this tag."""
    return answer_document(services().service.get(tag))


@bp.route("/deploymentmetrics/<tag>", methods=["POST", "PUT"])
@require_role(Role.MASTER_OPERATOR, Role.WEBUI_APP)
def save_document(tag):
    """Create or update the document with this tag; the body is its metrics."""
    documents = services().service
    documents.check_writable(tag)
    check_answerable()
    return answer_document(documents.save(tag, read_metrics(tag), current_user.name, read_condition()))


@bp.delete("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
def delete_document(tag):
    """Delete the document with this tag."""
    services().service.delete(tag, current_user.name, read_condition())
    return no_content()


@bp.get("/deploymentmetrics/<tag>/history")
@require_role(Role.MASTER_OPERATOR)
def show_history(tag):
    """The versions of the document with this tag, newest first, a page at a time."""
    return answer_history(services().service.history(tag, **load(HistoryArguments(), request.args)))


@bp.get("/deploymentmetrics/<tag>/history/<version>")
@require_role(Role.MASTER_OPERATOR)
def show_version(tag, version):
    """The document as it was in one version."""
    return answer_document(services().service.version(tag, parse_version(version)))


@bp.get("/expectations")
@require_role(Role.MASTER_OPERATOR)
def list_expectations():
    """How often tags are expected to be posted, by tag, and which are late. An extension, in JSON only."""
    items = {item.key: item for item in services().service.list().items}
    found = sorted(services().expectations.all().items())
    now = services().clock.now
    return answer_plain([status(tag, seconds, items.get(tag), now())._asdict() for tag, seconds in found])


@bp.get("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
def show_expectation(tag):
    """How often this tag is expected to be posted, and whether it is late."""
    seconds = services().expectations.of(tag)
    if seconds is None:
        raise errors.NotFound("Nothing is expected of this tag.", code="no-expectation")
    return answer_plain(status(tag, seconds, services().service.find(tag), services().clock.now())._asdict())


@bp.put("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
def save_expectation(tag):
    """Expect a post of this tag every so many seconds; the body is ``{"everySeconds": N}``."""
    body = load(ExpectationBody(), read_object(tag))
    services().expectations.set(tag, body["everySeconds"], current_user.name)
    return show_expectation(tag)


@bp.delete("/expectations/<tag>")
@require_role(Role.MASTER_OPERATOR)
def delete_expectation(tag):
    """Expect nothing of this tag any more."""
    show_expectation(tag)
    services().expectations.set(tag, None, current_user.name)
    return no_content()


@bp.get("/login")
@require_role(*Role)
def login():
    """The text ``ok``, and a token for the SessionToken header."""
    token = request.headers.get("SessionToken") or services().sessions.start(
        current_user, current_app.config["SESSION_SECONDS"]
    )
    return Response("ok", headers={"SessionToken": token, "Cache-Control": "no-store"}, content_type=TEXT)


@bp.get("/help")
@require_role(*Role)
def help_index():
    """The paths of the API, one a line."""
    return Response(openapi.help_index(current_app.url_map), content_type=TEXT)


@bp.get("/help/<resource>")
@require_role(*Role)
def help_resource(resource):
    """The methods and paths of one resource."""
    text = openapi.help_resource(current_app.url_map, resource)
    if text is None:
        raise NotFound()
    return Response(text, content_type=TEXT)
