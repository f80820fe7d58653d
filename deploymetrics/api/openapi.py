"""The OpenAPI document, and the text of ``/api/help``: both are read off the URL map, so they miss no route."""

import re
from http import HTTPStatus

from ..documents.expectations import MAX_SECONDS, MIN_SECONDS
from ..http.access import MASTER_OPERATORS
from ..schemas import MAX_BYTES

_METHODS = ("GET", "POST", "PUT", "DELETE")
_DOCUMENT = {"$ref": "#/components/schemas/Document"}
_VERSIONS = {"type": "array", "items": {"$ref": "#/components/schemas/Version"}}
_DOCUMENTS = {"type": "array", "items": _DOCUMENT}
_EXPECTATION = {"$ref": "#/components/schemas/Expectation"}
# What a view answers: its schema in JSON (None: text or nothing) and its status codes.
_ANSWERS = {
    "list_documents": (_DOCUMENTS, [200, 304, 400, 401, 403, 406, 429, 503]),
    "show_document": (_DOCUMENT, [200, 304, 400, 401, 403, 404, 406, 429, 503]),
    "save_document": (_DOCUMENT, [200, 400, 401, 403, 406, 412, 413, 415, 429, 503, 507]),
    "show_history": (_VERSIONS, [200, 304, 400, 401, 403, 404, 406, 429, 503]),
    "show_version": (_DOCUMENT, [200, 304, 400, 401, 403, 404, 406, 429, 503]),
    "delete_document": (None, [204, 400, 401, 403, 404, 412, 429, 503, 507]),
    "list_expectations": ({"type": "array", "items": _EXPECTATION}, [200, 400, 401, 403, 406, 429, 503]),
    "show_expectation": (_EXPECTATION, [200, 400, 401, 403, 404, 406, 429, 503]),
    "save_expectation": (_EXPECTATION, [200, 400, 401, 403, 406, 413, 415, 429, 503, 507]),
    "delete_expectation": (None, [204, 400, 401, 403, 404, 429, 503, 507]),
    "login": (None, [200, 401, 429, 503]),
    "help_index": (None, [200, 401, 429]),
    "help_resource": (None, [200, 401, 404, 429]),
}
_OUTPUT = {"name": "output", "in": "query", "schema": {"enum": ["json", "xml"]},
           "description": "The format; it goes before the Accept header."}
_PARAMETERS = {
    "tag": {"name": "tag", "in": "path", "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_BYTES},
            "description": f"1 to {MAX_BYTES} bytes of UTF-8, percent-encoded."},
    "resource": {"name": "resource", "in": "path", "required": True, "schema": {"type": "string"}},
    "version": {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
}
_PAGING = {
    "list_documents": [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
        {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "The tag after which it begins."},
    ],
    "show_history": [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
        {"name": "before", "in": "query", "schema": {"type": "integer", "minimum": 1},
         "description": "The version below which it begins."},
    ],
}
_CONDITIONS = [
    {"name": name, "in": "header", "schema": {"type": "string"}, "description": "As RFC 9110 says; 412 when it fails."}
    for name in ("If-Match", "If-None-Match")
]


def _routes(url_map):
    """(path, method, rule) of every API route in the order of the paths; the methods are those that a client names."""
    rules = sorted((rule for rule in url_map.iter_rules() if rule.rule.startswith("/api/")), key=lambda rule: rule.rule)
    for rule in rules:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        yield from ((path, method, rule) for method in _METHODS if method in rule.methods)


def help_index(url_map):
    """The paths, one a line."""
    return "".join(f"{path}\n" for path in dict.fromkeys(path for path, _, _ in _routes(url_map)))


def help_resource(url_map, resource):
    """``GET:`` with its paths indented below it, then ``POST:`` and so on; None for an unknown resource."""
    start = f"/api/{resource}"
    routes = [(path, method) for path, method, _ in _routes(url_map) if path == start or path.startswith(f"{start}/")]
    parts = []
    for method in _METHODS:
        paths = [path for path, its_method in routes if its_method == method]
        if paths:
            parts.append(f"{method}:\n" + "".join(f"    {path}\n" for path in paths))
    return "".join(parts) or None


def document(app, version):
    """The OpenAPI 3.1 document as a dict."""
    paths = {}
    for path, method, rule in _routes(app.url_map):
        paths.setdefault(path, {})[method.lower()] = _operation(rule, method, app.view_functions[rule.endpoint])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Deployment metrics", "version": version,
                 "description": "Documents of deployment metrics by tag, in JSON and XML."},
        "security": [{"basic": []}, {"bearer": []}, {"sessionToken": []}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": _SECURITY},
    }


def _operation(rule, method, view):
    schema, statuses = _ANSWERS[view.__name__]
    operation = {
        "operationId": f"{view.__name__}_{method.lower()}",
        "summary": view.__doc__.strip(),
        "description": f"For {', '.join(sorted(getattr(view, 'roles', MASTER_OPERATORS)))}.",
        "parameters": [_PARAMETERS[name] for name in sorted(rule.arguments)]
        + ([_OUTPUT] if schema else [])
        + _PAGING.get(view.__name__, [])
        + (_CONDITIONS if method != "GET" else []),
        "responses": {str(status): _response(status, schema, view.__name__) for status in statuses},
    }
    if method in ("POST", "PUT"):
        operation["requestBody"] = {"required": True, "content": {
            "application/json": {"schema": {"description": "Any JSON value."}},
            "application/xml": {"schema": {"type": "string", "description": "The BESAPI envelope; see BESAPI.xsd."}},
        }}
    return operation


def _response(status, schema, name):
    response = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        problem = {"$ref": "#/components/schemas/Problem"}
        response["content"] = {"application/problem+json": {"schema": problem},
                               "application/problem+xml": {"schema": {"type": "string"}}}
    elif status == 200 and schema:
        response["content"] = {"application/json": {"schema": schema},
                               "application/xml": {"schema": {"type": "string"}}}
    elif status == 200:
        response["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if status == 200 and name == "login":
        token = {"schema": {"type": "string"}, "description": "For the header of that name."}
        response["headers"] = {"SessionToken": token}
    return response


_SECURITY = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The secret of a WebUI application."},
    "sessionToken": {"type": "apiKey", "in": "header", "name": "SessionToken", "description": "From /api/login."},
}
_SCHEMAS = {
    "Expectation": {
        "type": "object",
        "description": "How often a tag is expected to be posted; state and due are null while there is no document.",
        "required": ["tag", "everySeconds"],
        "properties": {
            "tag": {"type": "string"},
            "everySeconds": {"type": "integer", "minimum": MIN_SECONDS, "maximum": MAX_SECONDS},
            "state": {"enum": ["fresh", "stale", None]},
            "due": {"type": ["string", "null"], "examples": ["2018-01-12T13:00:03.123456Z"]},
        },
    },
    "Document": {
        "type": "object",
        "required": ["tag", "metrics", "lastChanged"],
        "properties": {
            "tag": {"type": "string"},
            "metrics": {"description": "Any JSON value, digit for digit as it was posted."},
            "lastChanged": {"type": "string", "examples": ["12 Jan 2018 12:00"], "description": "GMT."},
        },
    },
    "Version": {
        "type": "object",
        "description": "A version of a document; a deletion has neither metrics nor lastChanged.",
        "required": ["version", "changedAt", "changedBy", "tag"],
        "properties": {
            "version": {"type": "integer", "minimum": 1},
            "changedAt": {"type": "string", "format": "date-time"},
            "changedBy": {"type": "string"},
            "tag": {"type": "string"},
            "metrics": {"description": "Any JSON value."},
            "lastChanged": {"type": "string"},
            "deleted": {"const": True},
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable, for programs."},
            "line": {"type": "integer"},
            "column": {"type": "integer"},
            "limit": {"type": "integer"},
            "errors": {"type": "object"},
            "requestId": {"type": "string"},
        },
    },
}
