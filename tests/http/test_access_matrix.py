"""Who gets in: every kind and state of account, by every way to prove it, on every route with every method.

The routes are those of the URL map, and what each role may is in the table of ``routes``; what the way leaves of
that is said here once more, in the words of the documentation.
"""

import sys
from io import BytesIO

import msgspec
import pytest
from accesskit import basic
from conftest import PASSWORD
from routes import ACCESS, EVERYONE, PEOPLE, SCRAPER_MAY, filled

from deploymetrics.accounts.records import Access, Account, Role

IN, REFUSED, LOG_IN = "in", "403", "401"
READS = ("GET", "HEAD", "OPTIONS")
PUBLIC = {route for route, statuses in ACCESS.items() if statuses == EVERYONE}
PUBLIC |= {("GET", "/login"), ("POST", "/login"), ("POST", "/logout")}
#: What a person does only shortly after the password was checked.
NEED_PROOF = {
    ("POST", "/api/token"),
    ("PUT", "/api/token/<id>"),
    ("POST", "/account/tokens"),
    ("POST", "/accounts"),
    ("POST", "/accounts/secret"),
}
#: They end what the next request would come with, so they come last.
ENDING = [("POST", "/account/sessions/end"), ("POST", "/logout")]
ROLES = {"operator": Role.OPERATOR, "webui": Role.WEBUI_APP, "scraper": Role.SCRAPER, "master": Role.MASTER_OPERATOR}
PROXY = {"REMOTE_USER_HEADER": "X-Remote-User", "PROXIES": 1}


def may(role, route):
    """Whether the role may, by the table."""
    if role == "scraper" and route in SCRAPER_MAY:
        return True
    statuses = ACCESS[route]
    return statuses[PEOPLE.index("operator" if role == "scraper" else role)] not in (401, 403)


def routes(app):
    """(method, rule, the routes of the table that decide) for each rule: its methods, HEAD, OPTIONS and a wrong one."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        own = {(method, rule.rule) for method in rule.methods - {"HEAD", "OPTIONS"}}
        of_path = {route for route in ACCESS if route[1] == rule.rule}
        for method, name in sorted(own):
            yield method, name, {(method, name)}
        if ("GET", rule.rule) in own:
            yield "HEAD", rule.rule, {("GET", rule.rule)}
        if rule.rule.startswith("/api"):
            yield "OPTIONS", rule.rule, of_path
            yield "PATCH", rule.rule, of_path


def expected(role, way, method, rule, deciding):
    """What this role gets by this way."""
    if not any(may(role, route) for route in deciding):
        return REFUSED
    is_read, is_person = method in READS, role in ("operator", "master")
    if "cross-site" in way and (not is_read or rule.startswith(("/api", "/metrics"))):
        return REFUSED
    if "scrape" in way and rule != "/metrics":
        return REFUSED
    if "read-only" in way and not is_read:
        return REFUSED
    if "only " in way and not any(may("operator", route) for route in deciding):
        is_its_tag = "<tag>" in rule and "custom" in way and method != "PATCH"
        return IN if is_its_tag else REFUSED
    if is_person and (method, rule) in NEED_PROOF and ("bearer" in way or "old" in way):
        return LOG_IN
    return IN


class Ways:
    """The ways in which an account shows who it is, each the headers of a request."""

    def __init__(self, app, services):
        self.app, self.services = app, services

    def token(self, name, **options):
        return self.services.tokens.add(name, f"x{len(self.record(name).tokens)}", "test", duration=1, **options)

    def record(self, name):
        return self.services.accounts.find(name)

    def session(self, name, **credential):
        return self.services.sessions.start(Account(self.record(name), **credential), 3600)

    def cookie(self, name, **credential):
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = self.session(name, **credential)
        return {"Cookie": f"deploymetrics={client.get_cookie('deploymetrics').value}"}

    def make(self, way, name):
        """The headers."""
        now = self.services.clock.timestamp()
        limits = {
            "read-only": {"access": Access.READ},
            "scrape": {"access": Access.SCRAPE},
            "only web-1": {"tags": ("web-1",)},
            "only custom": {"tags": ("custom",)},
        }
        options = next((options for word, options in limits.items() if word in way), {})
        if way in ("basic", "basic cross-site"):
            headers = {"Authorization": basic(name, PASSWORD)}
        elif way == "wrong basic":
            headers = {"Authorization": basic(name, "wrong")}
        elif "bearer" in way:
            token, secret = self.token(name, **options)
            if "over" in way:
                over = msgspec.structs.replace(token, expires=now)
                self.services.accounts.change(name, "test", lambda record: {"tokens": (over,)})
            if "revoked" in way:
                self.services.tokens.revoke(name, token.id, "test")
            headers = {"Authorization": f"Bearer {secret}"}
            if "session" in way:
                headers = {"SessionToken": self.session(name, token=token)}
        elif "session" in way:
            token = self.session(name, proved_at=0 if "old" in way else now)
            if "ended" in way:
                self.services.sessions.end(token)
            headers = {"SessionToken": token}
        elif "cookie" in way:
            headers = self.cookie(name, proved_at=0 if "old" in way else now)
        else:
            headers = {"X-Remote-User": name}
        return headers | ({"Sec-Fetch-Site": "cross-site"} if "cross-site" in way else {})


def outcome(status, location):
    """IN, REFUSED or LOG_IN."""
    if status == 429:
        return LOG_IN  # so many wrong credentials
    if status in (401, 403):
        return str(status)
    return LOG_IN if location.partition("?")[0] == "/login" else IN


def ask(app, headers):
    """Yield (method, rule, the deciding routes, outcome) for every route that is not for everyone."""
    base = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    for method, rule, deciding in sorted(routes(app), key=lambda each: each[:2] in ENDING):
        if deciding & PUBLIC:
            continue
        body = b"2" if "tag" in rule and method in ("POST", "PUT") else b""
        status, location = call(app, base, method, filled(rule), body)
        yield method, rule, deciding, outcome(status, "" if (method, rule) in ENDING else location)


def call(app, headers, method, path, body):
    """Return (status, Location) of an answer; the test client takes twice as long, and there are thousands."""
    got = []
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        **headers,
    }
    answer = app(environ, lambda status, fields, exc_info=None: got.append((int(status[:3]), dict(fields))))
    if hasattr(answer, "close"):
        answer.close()
    return got[0][0], got[0][1].get("Location", "")


RIGHT = [
    "basic",
    "bearer",
    "bearer read-only",
    "bearer scrape",
    "bearer only custom",
    "bearer only web-1",
    "session of a bearer read-only",
    "session",
    "old session",
    "cookie",
    "old cookie",
    "basic cross-site",
    "cookie cross-site",
    "proxy",
    "proxy cross-site",
]


@pytest.fixture
def app_settings():
    """What the application is set to."""
    return PROXY


@pytest.fixture
def ways(app, services):
    """The ways, and a document and a master operator that stays."""
    services.accounts.add("another", Role.MASTER_OPERATOR, PASSWORD)
    services.documents.save("custom", b"1", "test")
    return Ways(app, services)


@pytest.mark.parametrize("role", ROLES)
def test_a_right_credential(app, services, ways, role):
    for number, way in enumerate(RIGHT):
        services.accounts.add(f"who {number}", ROLES[role], PASSWORD)
        for method, rule, deciding, got in ask(app, ways.make(way, f"who {number}")):
            wanted = expected(role, way, method, rule, deciding)
            if "proxy" in way and ROLES[role].is_program:
                wanted = REFUSED  # people sign on, and programs have tokens
            assert got == wanted, (way, method, rule)


WRONG = [
    "wrong basic",
    "bearer that is over",
    "bearer that is revoked",
    "session that is ended",
    "session of a bearer revoked",
]


def test_a_credential_that_is_none_any_more(app, services, ways):
    for number, way in enumerate(WRONG):
        services.accounts.add(f"who {number}", Role.MASTER_OPERATOR, PASSWORD)
        answers = ask(app, ways.make(way, f"who {number}"))
        assert [(way, method, rule) for method, rule, _, got in answers if got != LOG_IN] == []


@pytest.mark.parametrize("state", ["disable", "remove", "set_password"])
def test_a_right_credential_of_an_account_that_was_changed(app, services, ways, state):
    for number, way in enumerate(["basic", "bearer", "session", "cookie", "proxy"]):
        name = f"who {number}"
        services.accounts.add(name, Role.MASTER_OPERATOR, PASSWORD)
        headers = ways.make(way, name)
        getattr(services.accounts, state)(name, *(["another password"] if state == "set_password" else []))
        wanted = REFUSED if way == "proxy" else LOG_IN
        if state == "set_password" and way in ("bearer", "proxy"):
            wanted = IN  # they do not rest on the password
        others = {(method, rule) for method, rule, _, got in ask(app, headers) if got != wanted}
        assert others == (NEED_PROOF if wanted == IN and way == "bearer" else set()), way
