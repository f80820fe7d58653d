"""A stand-in for a BigFix server's REST API: what it answers is read from the file ``behaviour.json`` at each request.

``answers`` has relevance → result, plural, type; ``mode`` is what goes wrong, from the query number ``after`` on, and
``before`` up to it; ``modes`` has relevance → what goes wrong with that one. Each request is noted in
``requests.jsonl``.

Answers have the form of BigFix 11.0.7: JSON comes without a Content-Type, with ``/`` written as an escape, and has a
``count`` only where an Explorer evaluated.
"""

import base64
import gzip
import json
import time
from pathlib import Path
from urllib.parse import unquote

from flask import Flask, Response, request

NO_EXPLORER = (
    "Cannot perform relevance query evaluation at this time because there is no reachable BigFix Explorer and/or "
    "BigFix Web Reports instance collecting data from this Server."
)
NOT_ALLOWED = "This expression contained a character which is not allowed."
PRIVILEGES = "Action requires master operator privileges."
USER, PASSWORD, TOKEN = "reader", "pass:wörd", "a-token"
_ACCEPTED = [
    f"Bearer {TOKEN}",
    *("Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode(code)).decode() for code in ("utf-8", "latin-1")),
]


def text(status, body):
    return Response(body, status, content_type="text/plain")


def unauthorized():
    response = text(401, "401 Unauthorized")
    response.headers["WWW-Authenticate"] = 'Basic realm="BigFix Server"'
    return response


def answer(value):
    """JSON as BigFix writes it."""
    response = Response(json.dumps(value, separators=(",", ":")).replace("/", "\\u002f"))
    del response.headers["Content-Type"]
    return response


def create_app(folder):
    app = Flask(__name__)
    folder = Path(folder)

    def behaviour():
        return json.loads((folder / "behaviour.json").read_text())

    @app.before_request
    def note_and_authenticate():
        with open(folder / "requests.jsonl", "a") as file:
            file.write(
                json.dumps([request.method, request.path, request.content_type, request.headers.get("User-Agent")])
                + "\n"
            )
        if request.headers.get("Authorization") not in _ACCEPTED:
            return unauthorized()

    @app.get("/api/webreports")
    @app.get("/api/explorers")
    def servers():
        if behaviour().get("master", True):
            return Response("<BESAPI></BESAPI>", content_type="application/xml")
        return text(403, PRIVILEGES)

    @app.post("/api/query")
    def query():
        state = behaviour()
        number = (folder / "requests.jsonl").read_text().count(', "/api/query", ')
        mode = state.get("mode", "right") if number > state.get("after", 0) else state.get("before", "right")
        return MODES[state.get("modes", {}).get(asked(), mode)](state, folder)

    return app


def asked():
    """The relevance of the request, in whichever form it came."""
    if request.content_type == "application/json+relevance":
        return request.get_json(force=True)["relevance"]
    return unquote(request.form["relevance"])


def right(state, folder):
    """As a server with an Explorer: JSON is evaluated as it is, and a form value decoded once."""
    if request.content_type == "application/json+relevance":
        return evaluated(state, request.get_json(force=True)["relevance"], explorer=True)
    relevance = request.form["relevance"]
    if is_json(relevance):
        return text(400, "Invalid JSON")
    if "%" in relevance:
        return answer({"result": [], "plural": False, "type": "", "evaltime_ms": 0, "error": NOT_ALLOWED})
    return evaluated(state, relevance, explorer=True)


def is_json(relevance):
    try:
        json.loads(relevance)
    except ValueError:
        return False
    return True


def no_explorer(state, folder):
    """As a server without an Explorer: no JSON, and a form value decoded twice."""
    if request.content_type == "application/json+relevance":
        return text(503, NO_EXPLORER)
    return evaluated(state, unquote(request.form["relevance"]), explorer=False)


def evaluated(state, relevance, *, explorer):
    result, plural, kind = state["answers"].get(relevance, [None, False, ""])
    if kind == "error" or result is None:
        error = result or "This expression could not be parsed."
        return answer({"result": [], "plural": False, "type": "", "evaltime_ms": 0, "error": error})
    count = {"count": len(result)} if explorer else {}
    return answer({"result": result, **count, "plural": plural, "type": kind, "evaltime_ms": 0.366 if explorer else 1})


def sluggish(state, folder):
    """An answer after some time."""
    time.sleep(state["seconds"])
    return right(state, folder)


def until_released(folder):
    """Yield now and then until the behaviour is another one, or is released."""
    path = folder / "behaviour.json"
    before = path.stat()
    while (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns):
        yield
        time.sleep(0.02)


def slow(state, folder):
    """No answer until it is released."""
    for _ in until_released(folder):
        pass
    return right(state, folder)


def cut_off(state, folder):
    """A connection that breaks within the answer."""

    def broken():
        yield b'{"result": ['
        raise ConnectionError

    return Response(broken(), headers={"Content-Length": "4000"})


def endless(state, folder):
    """An answer without an end."""
    return Response(iter(lambda: b" " * 2**20, None), content_type="application/json")


def dripping(state, folder):
    """An answer that comes byte by byte, until it is released."""
    return Response((b" " for _ in until_released(folder)), content_type="application/json")


def compressed(state, folder):
    body = gzip.compress(right(state, folder).data)
    return Response(body, content_type="application/json", headers={"Content-Encoding": "gzip"})


MODES = {
    "right": right,
    "no_explorer": no_explorer,
    "slow": slow,
    "sluggish": sluggish,
    "cut_off": cut_off,
    "endless": endless,
    "dripping": dripping,
    "compressed": compressed,
    "redirect": lambda state, folder: Response(status=307, headers={"Location": "/api/elsewhere"}),
    "deep": lambda state, folder: Response('{"result":' + "[" * 10**5 + "]" * 10**5 + "}", mimetype="application/json"),
    "list": lambda state, folder: Response("[1]", mimetype="application/json"),
    "odd_result": lambda state, folder: answer({"result": {"a": 1}, "plural": "yes", "type": [1]}),
    "cut_json": lambda state, folder: Response('{"result": [5'),
    "login_page": lambda state, folder: Response("<!doctype html><title>Log in</title>"),
    "no_result": lambda state, folder: answer({"plural": False}),
    "locked": lambda state, folder: unauthorized(),
    "forbidden": lambda state, folder: text(403, PRIVILEGES),
    "broken": lambda state, folder: text(500, "Internal Server Error"),
    "echo": lambda state, folder: text(503, f"cannot serve {request.headers['Authorization']} {PASSWORD}"),
    "echo_late": lambda state, folder: text(503, "x" * state["padding"] + PASSWORD),
    "echo_answer": lambda state, folder: answer(
        {"result": [["a", PASSWORD]], "plural": True, "type": "( string, string )"}
    ),
    "echo_error": lambda state, folder: answer(
        {"result": [], "error": f"no {request.headers['Authorization']} {PASSWORD}"}
    ),
}
