"""The OpenAPI document, and the text of ``/api/help``: both are read off the URL map, so they miss no route."""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Flask
from werkzeug.routing import Map, Rule

from ..http.access import MASTER_OPERATORS
from ..http.request_ids import HEADER
from ..schemas import MAX_BYTES
from .operations import ANY_VALUE, EVERY_SECONDS, Json, Operation

#: The address of the page that shows the document to people, which is not itself a part of it.
PAGE = "/api/docs"
_METHODS = ("GET", "POST", "PUT", "DELETE")
_EVERYWHERE = (400, 401, 403, 405, 412, 429, 500, 503)
_STRING = {"type": "string"}
_NUMBER = {"type": "integer"}
_PATH_PARAMETERS = {
    "tag": ({**_STRING, "minLength": 1, "maxLength": MAX_BYTES}, f"1 to {MAX_BYTES} bytes of UTF-8, percent-encoded."),
    "resource": (_STRING, "The first part of a path after /api, such as deploymentmetrics."),
    "version": ({**_NUMBER, "minimum": 1}, "A version, from the history."),
    "id": ({**_NUMBER, "minimum": 0}, "The number of a token."),
    "name": (_STRING, "The name of a token."),
    "user": (_STRING, "The name or the number of an account."),
}
_OUTPUT = ("output", {**_STRING, "enum": ["json", "xml"]}, "The format; it goes before the Accept header.")
_OUTPUT_CSV = ("output", {**_STRING, "enum": ["json", "csv"]}, "The format; it goes before the Accept header.")
_ETAGS = {**_STRING, "pattern": r'^(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$'}
_DATE = {**_STRING, "examples": ["Fri, 12 Jan 2018 12:00:00 GMT"]}
_PRECONDITIONS = {
    "If-Match": (_ETAGS, "ETags, or *; 412 unless one is the current one."),
    "If-None-Match": (_ETAGS, "ETags, or *; where one is the current one the answer to a GET is 304, to all else 412."),
    "If-Unmodified-Since": (_DATE, "A date; 412 where it was changed after it."),
    "If-Modified-Since": (_DATE, "A date; 304 where a document was not changed after it."),
}
_HEADERS = {
    "ETag": (_STRING, "The revision, for If-Match and If-None-Match."),
    "Last-Modified": (_STRING, "When it was changed."),
    "Link": (_STRING, 'The next page, as rel="next"; the schema of XML, as rel="describedby".'),
    "Deploymetrics-Damaged": (_STRING, "The first tags whose documents cannot be read, percent-encoded."),
    "Deploymetrics-Damaged-Count": (_NUMBER, "How many documents cannot be read."),
    "SessionToken": (_STRING, "For the header of that name."),
    "WWW-Authenticate": (_STRING, "How to authenticate."),
    "Allow": (_STRING, "The methods that the address has."),
    "Retry-After": (_NUMBER, "Seconds after which to try again."),
    HEADER: (_STRING, "The id of the request, as in the logs."),
}
_ERROR_HEADERS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    507: ("Retry-After",),
}


def _routes(url_map: Map) -> Iterator[tuple[str, str, Rule]]:
    """Yield (path, method, rule) of every API route in the order of the paths, with the methods that a client names."""
    rules = [rule for rule in url_map.iter_rules() if rule.rule.startswith("/api/")]
    paths = [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in rules]
    for path, rule in sorted(zip(paths, rules, strict=True), key=lambda each: each[0]):
        yield from ((path, method, rule) for method in _METHODS if method in (rule.methods or ()))


def help_index(url_map: Map) -> str:
    """Return the paths, one a line."""
    return "".join(f"{path}\n" for path in dict.fromkeys(path for path, _, _ in _routes(url_map)))


def help_resource(url_map: Map, resource: str) -> str | None:
    """Return ``GET:`` with its paths indented below it, then ``POST:`` and so on; None for an unknown resource."""
    start = f"/api/{resource}"
    routes = [(path, method) for path, method, _ in _routes(url_map) if path == start or path.startswith(f"{start}/")]
    sections = []
    for method in _METHODS:
        paths = [path for path, its_method in routes if its_method == method]
        if paths:
            sections.append(f"{method}:\n" + "".join(f"    {path}\n" for path in paths))
    return "".join(sections) or None


def document(app: Flask, version: str, root: str) -> Json:
    """Return the OpenAPI 3.1 document; ``root`` is the path under which the application is served."""
    paths: dict[str, Json] = {}
    for path, method, rule in _routes(app.url_map):
        if path == PAGE:
            continue
        paths.setdefault(path, {})[method.lower()] = _operation(path, rule, method, app.view_functions[rule.endpoint])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Deployment metrics",
            "version": version,
            "description": "Documents of deployment metrics by tag, in JSON and XML.",
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(path.split("/")[2] for path in paths)],
        "security": [{"basic": []}, {"bearer": []}, {"sessionToken": []}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": _SECURITY},
    }


def _operation(path: str, rule: Rule, method: str, view: Any) -> Json:
    said: Operation = view.operation
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    statuses = sorted({204 if said.schema is None else 200, *said.statuses, *_EVERYWHERE})
    query = (*said.query, _OUTPUT_CSV if said.csv else _OUTPUT)
    conditions = [name for name in _PRECONDITIONS if method == "GET" or name != "If-Modified-Since"]
    operation: Json = {
        "operationId": f"{view.__name__}_{method.lower()}",
        "tags": [path.split("/")[2]],
        "summary": " ".join(summary.split()),
        "description": " ".join([f"For {', '.join(sorted(getattr(view, 'roles', MASTER_OPERATORS)))}.", *more.split()]),
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": schema, "description": description}
                for name in sorted(rule.arguments)
                for schema, description in [_PATH_PARAMETERS[name]]
            ),
            *(
                {"name": name, "in": "query", "schema": schema, "description": description}
                for name, schema, description in query
            ),
            *(
                {"name": name, "in": "header", "schema": schema, "description": description}
                for name in conditions
                for schema, description in [_PRECONDITIONS[name]]
            ),
        ],
        "responses": {str(status): _response(status, said) for status in statuses},
    }
    if said.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(said.body, said.xml)}
    return operation


def _content(schema: Json, xml: bool) -> Json:
    content: Json = {"application/json": {"schema": schema}}
    if xml:
        envelope = {**_STRING, "description": "The BESAPI envelope; its schema is /xmlschema/BESAPI.xsd."}
        content["application/xml"] = {"schema": envelope}
    return content


def _response(status: int, said: Operation) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    names = _ERROR_HEADERS.get(status, ()) if status >= 400 else said.headers
    response["headers"] = {
        name: {"schema": schema, "description": description}
        for name in (*names, HEADER)
        for schema, description in [_HEADERS[name]]
    }
    if status >= 400:
        response["content"] = {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            "application/problem+xml": {"schema": _STRING},
        }
    elif status == 200 and said.schema is not None:
        is_text = said.schema == _STRING
        response["content"] = {"text/plain": {"schema": _STRING}} if is_text else _content(said.schema, said.xml)
        if said.csv:
            response["content"]["text/csv"] = {"schema": _STRING}
    return response


_SECURITY = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The secret of a token."},
    "sessionToken": {"type": "apiKey", "in": "header", "name": "SessionToken", "description": "From /api/login."},
}
_SCHEMAS: Json = {
    "Series": {
        "type": "object",
        "description": "Numbers over time; complete is false where some versions or numbers were left out.",
        "required": ["tag", "complete", "series"],
        "properties": {
            "tag": _STRING,
            "complete": {"type": "boolean"},
            "series": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "points"],
                    "properties": {
                        "name": _STRING,
                        "points": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["time", "version", "value"],
                                "properties": {
                                    "time": {**_STRING, "format": "date-time"},
                                    "version": _NUMBER,
                                    "value": {"type": "number"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    "Expectation": {
        "type": "object",
        "description": "How often a tag is expected to be posted; state and due are null while there is no document.",
        "required": ["tag", "everySeconds", "state", "due"],
        "properties": {
            "tag": _STRING,
            "everySeconds": EVERY_SECONDS,
            "state": {"type": ["string", "null"], "description": "fresh or stale."},
            "due": {"type": ["string", "null"], "examples": ["2018-01-12T13:00:03.123456Z"]},
        },
    },
    "Document": {
        "type": "object",
        "required": ["tag", "metrics", "lastChanged"],
        "properties": {
            "tag": _STRING,
            "metrics": ANY_VALUE,
            "lastChanged": {**_STRING, "examples": ["12 Jan 2018 12:00"], "description": "GMT."},
        },
    },
    "Version": {
        "type": "object",
        "description": "A version of a document; a deletion has neither metrics nor lastChanged.",
        "required": ["version", "changedAt", "changedBy", "tag"],
        "properties": {
            "version": {**_NUMBER, "minimum": 1},
            "changedAt": {**_STRING, "format": "date-time"},
            "changedBy": _STRING,
            "tag": _STRING,
            "metrics": ANY_VALUE,
            "lastChanged": _STRING,
            "deleted": {"type": "boolean", "description": "Only in a deletion, where it is true."},
        },
    },
    "Token": {
        "type": "object",
        "description": "A token; Token is its secret, in the answer that made it.",
        "required": ["Id", "Name", "Expiration", "User", "UserName", "Access", "Tags", "LastUsed"],
        "properties": {
            "Token": _STRING,
            "Id": _NUMBER,
            "Name": _STRING,
            "Expiration": {**_NUMBER, "description": "Microseconds since 1970; 0 is never."},
            "User": {**_NUMBER, "description": "The number of the account."},
            "UserName": _STRING,
            "Access": {**_STRING, "enum": ["full", "read-only", "scrape"]},
            "Tags": {"type": "array", "items": _STRING},
            "LastUsed": {**_NUMBER, "description": "Microseconds since 1970, to the minute; 0 is never."},
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail", "code", "error"],
        "properties": {
            "type": _STRING,
            "title": _STRING,
            "status": _NUMBER,
            "detail": _STRING,
            "code": {**_STRING, "description": "Stable, for programs."},
            "error": {**_STRING, "description": "The same as detail."},
            "line": _NUMBER,
            "column": _NUMBER,
            "limit": _NUMBER,
            "errors": {"type": "object"},
            "requestId": _STRING,
        },
    },
}
