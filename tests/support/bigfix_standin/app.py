"""A stand-in for a BigFix server's REST API: what it answers is read from the file ``behaviour.json`` at each request.

``answers`` has relevance → result, plural, type; ``mode`` is what goes wrong, from the query number ``after`` on. Each
request is noted in ``requests.jsonl``.
"""

import base64
import gzip
import json
import time
from pathlib import Path
from urllib.parse import unquote

from flask import Flask, Response, request

PRIVILEGES = "Action requires master operator privileges."
USER, PASSWORD, TOKEN = "reader", "pass:wörd", "a-token"
_ACCEPTED = [f"Bearer {TOKEN}", *(
    "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode(code)).decode() for code in ("utf-8", "latin-1")
)]


def text(status, body):
    return Response(body, status, content_type="text/plain")


def create_app(folder):
    app = Flask(__name__)
    folder = Path(folder)

    def behaviour():
        return json.loads((folder / "behaviour.json").read_text())

    @app.before_request
    def note_and_authenticate():
        with open(folder / "requests.jsonl", "a") as file:
            file.write(json.dumps([request.method, request.path, request.content_type]) + "\n")
        if request.headers.get("Authorization") not in _ACCEPTED:
            return text(401, "401 Unauthorized")

    @app.get("/api/webreports")
    @app.get("/api/explorers")
    def servers():
        if behaviour().get("master", True):
            return Response("<BESAPI></BESAPI>", content_type="application/xml")
        return text(403, PRIVILEGES)

    @app.post("/api/query")
    def query():
        state = behaviour()
        lines = (folder / "requests.jsonl").read_text().splitlines()
        number = sum(json.loads(line)[1] == "/api/query" for line in lines)
        mode = state.get("mode", "right") if number > state.get("after", 0) else "right"
        return MODES[mode](state, folder)

    return app


def right(state, folder):
    """As a server with an Explorer: JSON is evaluated as it is, and a form value decoded once."""
    if request.content_type == "application/json+relevance":
        return evaluated(state, request.get_json(force=True)["relevance"])
    return evaluated(state, request.form["relevance"])


def no_explorer(state, folder):
    """As a server without an Explorer: no JSON, and a form value decoded twice."""
    if request.content_type == "application/json+relevance":
        return text(503, "There is no reachable BigFix Explorer.")
    return evaluated(state, unquote(request.form["relevance"]))


def evaluated(state, relevance):
    result, plural, kind = state["answers"].get(relevance, [None, False, ""])
    if kind == "error" or result is None:
        error = result or "This expression could not be parsed."
        return {"result": [], "plural": False, "type": "", "evaltime_ms": 0, "error": error}
    return {"result": result, "plural": plural, "type": kind, "evaltime_ms": 1}


def slow(state, folder):
    """No answer until the file ``release`` is there."""
    while not (folder / "release").exists():
        time.sleep(0.02)
    return right(state, folder)


def cut_off(state, folder):
    """A connection that breaks within the answer."""
    return Response(iter([b'{"result": [']), content_type="application/json", headers={"Content-Length": "4000"})


def endless(state, folder):
    """An answer without an end."""
    return Response(iter(lambda: b" " * 2**20, None), content_type="application/json")


def dripping(state, folder):
    """An answer that comes byte by byte, until the file ``release`` is there."""

    def drops():
        while not (folder / "release").exists():
            yield b" "
            time.sleep(0.02)

    return Response(drops(), content_type="application/json")


def compressed(state, folder):
    body = gzip.compress(json.dumps(right(state, folder)).encode())
    return Response(body, content_type="application/json", headers={"Content-Encoding": "gzip"})


MODES = {
    "right": right,
    "no_explorer": no_explorer,
    "slow": slow,
    "cut_off": cut_off,
    "endless": endless,
    "dripping": dripping,
    "compressed": compressed,
    "redirect": lambda state, folder: Response(status=307, headers={"Location": "/api/elsewhere"}),
    "deep": lambda state, folder: Response('{"result":' + "[" * 10**5 + "]" * 10**5 + "}", mimetype="application/json"),
    "list": lambda state, folder: Response("[1]", mimetype="application/json"),
    "odd_result": lambda state, folder: {"result": {"a": 1}, "plural": "yes", "type": [1]},
    "cut_json": lambda state, folder: Response('{"result": [5', content_type="application/json"),
    "login_page": lambda state, folder: Response("<!doctype html><title>Log in</title>"),
    "no_result": lambda state, folder: {"plural": False},
    "locked": lambda state, folder: text(401, "401 Unauthorized"),
    "forbidden": lambda state, folder: text(403, PRIVILEGES),
    "broken": lambda state, folder: text(500, "Internal Server Error"),
    "echo": lambda state, folder: text(503, f"cannot serve {request.headers['Authorization']} {PASSWORD}"),
    "echo_late": lambda state, folder: text(503, "x" * state["padding"] + PASSWORD),
    "echo_answer": lambda state, folder: {"result": [["a", PASSWORD]], "plural": True, "type": "( string, string )"},
    "echo_error": lambda state, folder: {"result": [], "error": f"no {request.headers['Authorization']} {PASSWORD}"},
}
