"""What the tests of access share: the addresses asked for, and credentials as headers."""

import base64

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"


def basic(name, password, encoding="utf-8"):
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


def token_of(person):
    """A session token from /api/login."""
    return person.get("/api/login").headers["SessionToken"]
