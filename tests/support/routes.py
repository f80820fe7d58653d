"""Every route, and what each role may there; a new route needs its rows here."""

PEOPLE = ("nobody", "operator", "webui", "master")
#: A scraper may do what an operator may, and these.
SCRAPER_MAY = {("GET", "/metrics")}

MASTER_ONLY = (401, 403, 403, 200)
EVERY_ACCOUNT = (401, 200, 200, 200)
EVERYONE = (200, 200, 200, 200)
# Each route and method with the status for each of PEOPLE.
ACCESS = {
    ("GET", "/api/deploymentmetrics"): MASTER_ONLY,
    ("GET", "/api/deploymentmetrics/<tag>"): MASTER_ONLY,
    ("POST", "/api/deploymentmetrics/<tag>"): (401, 403, 200, 200),
    ("PUT", "/api/deploymentmetrics/<tag>"): (401, 403, 200, 200),
    ("DELETE", "/api/deploymentmetrics/<tag>"): (401, 403, 403, 204),
    ("GET", "/api/expectations"): MASTER_ONLY,
    ("GET", "/api/expectations/<tag>"): (401, 403, 403, 404),
    ("PUT", "/api/expectations/<tag>"): (401, 403, 403, 400),
    ("DELETE", "/api/expectations/<tag>"): (401, 403, 403, 404),
    ("GET", "/api/login"): EVERY_ACCOUNT,
    ("GET", "/api/help"): EVERY_ACCOUNT,
    ("GET", "/api/help/<resource>"): EVERY_ACCOUNT,
    ("GET", "/api/deploymentmetrics/<tag>/history"): MASTER_ONLY,
    ("GET", "/api/deploymentmetrics/<tag>/history/<version>"): MASTER_ONLY,
    ("GET", "/api/deploymentmetrics/<tag>/series"): MASTER_ONLY,
    ("GET", "/metrics"): MASTER_ONLY,
    ("GET", "/healthz"): EVERYONE,
    ("GET", "/readyz"): EVERYONE,
    ("GET", "/"): (302, 200, 200, 200),
    ("GET", "/login"): (200, 302, 302, 302),
    ("POST", "/login"): (401, 401, 401, 401),
    ("POST", "/logout"): (302, 302, 302, 302),
    ("GET", "/openapi.json"): EVERYONE,
    ("GET", "/api/docs"): EVERYONE,
    ("GET", "/xmlschema/<name>.xsd"): EVERYONE,
    ("GET", "/static/<path:filename>"): EVERYONE,
    # Pages send whoever has no account to the login.
    ("GET", "/account"): (302, 200, 200, 200),
    ("POST", "/account"): (401, 400, 400, 400),
    ("GET", "/audit"): (302, 403, 403, 200),
    ("GET", "/accounts"): (302, 403, 403, 200),
    ("POST", "/accounts"): (401, 403, 403, 400),
    ("GET", "/accounts/disable"): (302, 403, 403, 404),
    ("POST", "/accounts/disable"): (401, 403, 403, 409),
    ("POST", "/accounts/enable"): (401, 403, 403, 409),
    ("GET", "/accounts/remove"): (302, 403, 403, 404),
    ("POST", "/accounts/remove"): (401, 403, 403, 409),
    ("GET", "/accounts/secret"): (302, 403, 403, 404),
    ("POST", "/accounts/secret"): (401, 403, 403, 404),
    ("GET", "/accounts/about"): (302, 403, 403, 404),
    ("POST", "/accounts/limits"): (401, 403, 403, 409),
    ("POST", "/account/tokens"): (401, 400, 400, 400),
    ("POST", "/account/tokens/revoke"): (401, 404, 404, 404),
    ("POST", "/account/sessions/end"): (401, 302, 302, 302),
    ("GET", "/api/tokens"): EVERY_ACCOUNT,
    ("GET", "/api/tokens/user/<user>"): (401, 403, 403, 404),
    ("GET", "/api/token/name/<name>"): (401, 404, 404, 404),
    ("GET", "/api/token/id/<id>"): (401, 404, 404, 404),
    ("POST", "/api/token"): (401, 400, 400, 400),
    ("PUT", "/api/token/<id>"): (401, 404, 404, 404),
    ("DELETE", "/api/token/<id>"): (401, 404, 404, 404),
    ("GET", "/new"): (302, 403, 403, 200),
    ("POST", "/new"): (401, 403, 403, 400),
    ("GET", "/plot"): (302, 403, 403, 200),
    ("GET", "/preferences"): (302, 200, 200, 200),
    ("POST", "/preferences"): (401, 302, 302, 302),
    ("POST", "/selected"): (401, 403, 403, 302),
    ("POST", "/tags/<tag>/headline"): (401, 403, 403, 302),
    ("GET", "/plot.csv"): (302, 403, 403, 200),
    ("GET", "/tags/<tag>"): (302, 403, 403, 200),
    ("GET", "/tags/<tag>/compare"): (302, 403, 403, 400),
    ("GET", "/tags/<tag>/delete"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/delete"): (401, 403, 403, 412),
    ("GET", "/tags/<tag>/edit"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/edit"): (401, 403, 403, 400),
    ("POST", "/tags/<tag>/expected"): (401, 403, 403, 400),
    ("GET", "/tags/<tag>/history"): (302, 403, 403, 200),
    ("GET", "/tags/<tag>/versions/<version>"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/versions/<version>/restore"): (401, 403, 403, 412),
}
OPTIONS = {
    "/api/deploymentmetrics": MASTER_ONLY,
    "/api/deploymentmetrics/<tag>": (401, 403, 200, 200),
    "/api/deploymentmetrics/<tag>/history": MASTER_ONLY,
    "/api/deploymentmetrics/<tag>/series": MASTER_ONLY,
    "/api/deploymentmetrics/<tag>/history/<version>": MASTER_ONLY,
    "/api/expectations": MASTER_ONLY,
    "/api/expectations/<tag>": MASTER_ONLY,
    "/api/login": EVERY_ACCOUNT,
    "/api/token": EVERY_ACCOUNT,
    "/api/token/<id>": EVERY_ACCOUNT,
    "/api/token/id/<id>": EVERY_ACCOUNT,
    "/api/token/name/<name>": EVERY_ACCOUNT,
    "/api/tokens": EVERY_ACCOUNT,
    "/api/tokens/user/<user>": MASTER_ONLY,
    "/api/help": EVERY_ACCOUNT,
    "/api/help/<resource>": EVERY_ACCOUNT,
    "/api/docs": EVERYONE,
}


def status_of(role, statuses, route=None):
    """What a role gets, of the statuses for each of PEOPLE."""
    if role == "scraper":
        return 200 if route in SCRAPER_MAY else statuses[PEOPLE.index("operator")]
    return statuses[PEOPLE.index(role)]


FILLED = {
    "<tag>": "custom",
    "<version>": "1",
    "<resource>": "deploymentmetrics",
    "<path:filename>": "BESAPI.xsd",
    "<name>": "BESAPI",
    "<id>": "1",
    "<user>": "1",
}


def filled(rule):
    """A URL of a rule."""
    for name, value in FILLED.items():
        rule = rule.replace(name, value)
    return rule
