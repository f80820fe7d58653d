"""The OpenAPI document, made of the URL map and of what views say of themselves, and a page that shows it to people."""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, current_app, jsonify, make_response, render_template
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Response

from ..http.access import MASTER_OPERATORS, public
from ..http.request_ids import HEADER
from ..http.requests import current_request
from ..http.security_headers import PAGE_HEADERS
from ..schemas import MAX_BYTES
from ..version import VERSION
from .openapi_schemas import COMPONENTS, NUMBER, TEXT, Json, Operation

bp = Blueprint("descriptions", __name__)  # of the API, to everyone

#: The address of the page that shows the document to people, which is not itself a part of it.
PAGE = "/api/docs"
METHODS = ("GET", "POST", "PUT", "DELETE")
_COMMON_STATUSES = (400, 401, 403, 405, 412, 429, 500, 503)
_PATH_PARAMETERS = {
    "tag": ({**TEXT, "minLength": 1, "maxLength": MAX_BYTES}, f"1 to {MAX_BYTES} bytes of UTF-8, percent-encoded."),
    "resource": (TEXT, "The first part of a path after /api, such as deploymentmetrics."),
    "version": ({**NUMBER, "minimum": 1}, "A version, from the history."),
    "id": ({**NUMBER, "minimum": 0}, "The number of a token."),
    "name": (TEXT, "The name of a token."),
    "user": (TEXT, "The name or the number of an account."),
}
_ETAGS = {**TEXT, "pattern": r'^(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$'}
_DATE = {**TEXT, "examples": ["Fri, 12 Jan 2018 12:00:00 GMT"]}
_PRECONDITIONS = {
    "If-Match": (_ETAGS, "ETags, or *; 412 unless one is the current one."),
    "If-None-Match": (_ETAGS, "ETags, or *; where one is the current one the answer to a GET is 304, to all else 412."),
    "If-Unmodified-Since": (_DATE, "A date; 412 where it was changed after it."),
    "If-Modified-Since": (_DATE, "A date; 304 where a document was not changed after it."),
}
_HEADERS = {
    "ETag": (TEXT, "The revision, for If-Match and If-None-Match."),
    "Last-Modified": (TEXT, "When it was changed."),
    "Link": (TEXT, 'The next page, as rel="next"; the schema of XML, as rel="describedby".'),
    "Deploymetrics-Damaged": (TEXT, "The first tags whose documents cannot be read, percent-encoded."),
    "Deploymetrics-Damaged-Count": (NUMBER, "How many documents cannot be read."),
    "SessionToken": (TEXT, "For the header of that name."),
    "WWW-Authenticate": (TEXT, "How to authenticate."),
    "Allow": (TEXT, "The methods that the address has."),
    "Retry-After": (NUMBER, "Seconds after which to try again."),
    HEADER: (TEXT, "The id of the request, as in the logs."),
}
_LATER = ("Retry-After",)
_ERROR_HEADERS = {401: ("WWW-Authenticate",), 405: ("Allow",), 412: ("ETag",), 429: _LATER, 503: _LATER, 507: _LATER}


@bp.get("/openapi.json")
@public
def openapi_document() -> Response:
    return jsonify(describe(current_app, current_request().root_path))


@bp.get(PAGE)
@public
def reference() -> Response:
    """Show the OpenAPI document to people, as a page."""
    contents = describe(current_app, current_request().root_path)
    return make_response(render_template("api/reference.html", document=contents), PAGE_HEADERS)


def routes(url_map: Map) -> Iterator[tuple[str, str, Rule]]:
    """Yield (path, method, rule) of every API route in the order of the paths; HEAD and OPTIONS are left out."""
    rules = [rule for rule in url_map.iter_rules() if rule.rule.startswith("/api/")]
    paths = [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in rules]
    for path, rule in sorted(zip(paths, rules, strict=True), key=lambda pair: pair[0]):
        yield from ((path, method, rule) for method in METHODS if method in (rule.methods or ()))


def describe(app: Flask, root: str) -> Json:
    """Return the OpenAPI 3.1 document; ``root`` is the path under which the application is served."""
    paths: dict[str, Json] = {}
    for path, method, rule in routes(app.url_map):
        if path != PAGE:
            view = app.view_functions[rule.endpoint]
            paths.setdefault(path, {})[method.lower()] = _operation(path, rule, method, view)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Deployment metrics",
            "version": VERSION,
            "description": "Documents of deployment metrics by tag, in JSON and XML.",
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(path.split("/")[2] for path in paths)],
        "security": [{"basic": []}, {"bearer": []}, {"sessionToken": []}],
        "paths": paths,
        "components": {"schemas": COMPONENTS, "securitySchemes": _SECURITY},
    }


def _operation(path: str, rule: Rule, method: str, view: Any) -> Json:
    operation: Operation = view.operation
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    statuses = sorted({204 if operation.schema is None else 200, *operation.statuses, *_COMMON_STATUSES})
    formats = {**TEXT, "enum": ["json", "csv" if operation.csv else "xml"]}
    query = (*operation.query, ("output", formats, "The format; it goes before the Accept header."))
    conditions = [name for name in _PRECONDITIONS if method == "GET" or name != "If-Modified-Since"]
    entry: Json = {
        "operationId": f"{view.__name__}_{method.lower()}",
        "tags": [path.split("/")[2]],
        "summary": " ".join(summary.split()),
        "description": " ".join([f"For {', '.join(sorted(getattr(view, 'roles', MASTER_OPERATORS)))}.", *more.split()]),
        "parameters": [
            *(_parameter("path", name, *_PATH_PARAMETERS[name], required=True) for name in sorted(rule.arguments)),
            *(_parameter("query", *argument) for argument in query),
            *(_parameter("header", name, *_PRECONDITIONS[name]) for name in conditions),
        ],
        "responses": {str(status): _response(status, operation) for status in statuses},
    }
    if operation.body is not None:
        entry["requestBody"] = {"required": True, "content": _content(operation.body, operation.xml)}
    return entry


def _parameter(location: str, name: str, schema: Json, description: str, **details: bool) -> Json:
    return {"name": name, "in": location, "schema": schema, "description": description, **details}


def _content(schema: Json, xml: bool) -> Json:
    content: Json = {"application/json": {"schema": schema}}
    if xml:
        envelope = {**TEXT, "description": "The BESAPI envelope; its schema is /xmlschema/BESAPI.xsd."}
        content["application/xml"] = {"schema": envelope}
    return content


def _response(status: int, operation: Operation) -> Json:
    names = (*(_ERROR_HEADERS.get(status, ()) if status >= 400 else operation.headers), HEADER)
    headers = {name: {"schema": _HEADERS[name][0], "description": _HEADERS[name][1]} for name in names}
    response: Json = {"description": HTTPStatus(status).phrase, "headers": headers}
    if status >= 400:
        response["content"] = {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            "application/problem+xml": {"schema": TEXT},
        }
    elif status == 200 and operation.schema is not None:
        is_text = operation.schema == TEXT
        response["content"] = {"text/plain": {"schema": TEXT}} if is_text else _content(operation.schema, operation.xml)
        if operation.csv:
            response["content"]["text/csv"] = {"schema": TEXT}
    return response


_SECURITY = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The secret of a token."},
    "sessionToken": {"type": "apiKey", "in": "header", "name": "SessionToken", "description": "From /api/login."},
}
