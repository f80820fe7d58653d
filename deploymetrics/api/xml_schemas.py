"""The schemas of the XML, at the address where BigFix has its own."""

from flask import current_app
from werkzeug.wrappers import Response

from ..http.access import public
from .openapi import bp


@bp.get("/xmlschema/<name>.xsd")
@public
def xml_schema(name: str) -> Response:
    """Send a schema of the XML, such as ``BESAPI.xsd``."""
    response = current_app.send_static_file(f"{name}.xsd")
    response.headers["Content-Type"] = "application/xml"  # as all XML here, without a charset
    return response
