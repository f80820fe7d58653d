"""What describes the API to everyone: the OpenAPI document and the schemas of its XML, and for people a page."""

from flask import Blueprint, current_app, jsonify, make_response, render_template
from werkzeug.wrappers import Response

from ..http.access import public
from ..http.requests import current_request
from ..http.security_headers import PAGE_HEADERS
from . import openapi

bp = Blueprint("descriptions", __name__)


@bp.get("/openapi.json")
@public
def openapi_document() -> Response:
    return jsonify(openapi.document(current_app, current_request().root_path))


@bp.get(openapi.PAGE)
@public
def reference() -> Response:
    document = openapi.document(current_app, current_request().root_path)
    return make_response(render_template("api/reference.html", document=document), PAGE_HEADERS)


@bp.get("/xmlschema/<name>.xsd")
@public
def xml_schema(name: str) -> Response:
    """Return a schema of the XML, at the address where BigFix has its own."""
    response = current_app.send_static_file(f"{name}.xsd")
    response.headers["Content-Type"] = "application/xml"  # as all XML here, without a charset
    return response
