"""What the service is measured beside: the least that Flask under the same gunicorn can do for the same answer."""

import os

from flask import Flask, Response, request

app = Flask(__name__)
BODIES = os.environ.get("BASELINE_BODIES", "")


def _read(name):
    with open(os.path.join(BODIES, name), "rb") as file:
        return file.read()


if BODIES:
    ONE = _read("one.json")
    LIST = _read("list.json")


@app.get("/api/deploymentmetrics/<tag>")
def one(tag):
    """The bytes of one document, from memory, for everyone."""
    return Response(ONE, content_type="application/json")


@app.get("/api/deploymentmetrics")
def everything():
    """The bytes of the whole list, from memory, for everyone."""
    return Response(LIST, content_type="application/json")


@app.post("/api/deploymentmetrics/<tag>")
def save(tag):
    """One atomic, synced file write of the body as it came, with nothing checked and no earlier version kept."""
    path = os.path.join(BODIES, "written", tag)
    draft = f"{path}.{os.getpid()}.{os.urandom(8).hex()}"
    body = request.get_data()
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, body)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return Response(body, content_type="application/json")
