"""What describes the API to programs, for everyone: the OpenAPI document and the schemas of its XML."""

from flask import Blueprint, current_app, jsonify
from werkzeug.wrappers import Response

from ..http.access import public
from ..http.requests import current_request
from ..version import VERSION
from . import openapi

bp = Blueprint("descriptions", __name__)


@bp.get("/openapi.json")
@public
def openapi_document() -> Response:
    """Return the OpenAPI document of the API."""
    return jsonify(openapi.document(current_app, VERSION, current_request().root_path))


@bp.get("/xmlschema/<name>.xsd")
@public
def xml_schema(name: str) -> Response:
    """Return a schema of the XML, at the address where BigFix has its own."""
    response = current_app.send_static_file(f"{name}.xsd")
    response.headers["Content-Type"] = "application/xml"  # as all XML here, without a charset
    return response
