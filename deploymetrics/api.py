"""The API under ``/api``. Each view's docstring is its documentation in the OpenAPI document."""

from flask import Blueprint, Response, current_app, request
from flask_login import current_user
from werkzeug.exceptions import NotFound

from . import openapi
from .accounts import Role
from .auth import require_role
from .negotiation import answer_document, answer_list, read_condition, read_metrics, requested_format

bp = Blueprint("api", __name__, url_prefix="/api")

TEXT = "text/plain"


def service():
    """The Service of the current application."""
    return current_app.extensions["deploymetrics"].service


@bp.get("/deploymentmetrics")
@require_role(Role.MASTER_OPERATOR)
def list_documents():
    """All documents, ordered by tag."""
    return answer_list(service().list())


@bp.get("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
def show_document(tag):
    """The document with this tag."""
    return answer_document(service().get(tag))


@bp.route("/deploymentmetrics/<tag>", methods=["POST", "PUT"])
@require_role(Role.MASTER_OPERATOR, Role.WEBUI_APP)
def save_document(tag):
    """Create or update the document with this tag; the body is its metrics."""
    service().check_writable(tag)
    requested_format()  # an answer that the client does not take is refused before anything is stored
    return answer_document(service().save(tag, read_metrics(tag), current_user.name, read_condition()))


@bp.delete("/deploymentmetrics/<tag>")
@require_role(Role.MASTER_OPERATOR)
def delete_document(tag):
    """Delete the document with this tag."""
    service().delete(tag, current_user.name, read_condition())
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


@bp.get("/login")
@require_role(*Role)
def login():
    """The text ``ok``, and a token for the SessionToken header."""
    token = request.headers.get("SessionToken") or current_app.extensions["deploymetrics"].sessions.start(
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
