"""Who may what: every role on every route."""

import pytest
from accesskit import LIST, URL
from problems import assert_problem

from deploymetrics.http.access import MASTER_OPERATOR_NEEDED

PEOPLE = ("nobody", "operator", "webui", "master")
#: A scraper may do what an operator may, and these.
SCRAPER_MAY = {("GET", "/metrics")}

MASTER_ONLY = (401, 403, 403, 200)
EVERY_ACCOUNT = (401, 200, 200, 200)
EVERYONE = (200, 200, 200, 200)
# Each route and method with the status for each of PEOPLE. A new route needs its rows here.
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


def test_the_table_is_complete(app):
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert routes == set(ACCESS)
    assert {rule for _, rule in routes if rule.startswith("/api")} == set(OPTIONS)


@pytest.mark.parametrize("role", [*PEOPLE, "scraper"])
def test_every_role_on_every_route(request, services, role):
    person = request.getfixturevalue(role)
    for (listed, rule), statuses in ACCESS.items():
        services.service.save("custom", b"1", "test")
        for method in [listed] if listed != "GET" else ["GET", "HEAD"]:
            body = {"data": "2"} if "tag" in rule and method in ("POST", "PUT") else {}
            answer = person.open(filled(rule), method=method, **body)
            answer.close()
            assert answer.status_code == status_of(role, statuses, (listed, rule)), (method, rule)
            if answer.status_code in (401, 403) and method != "HEAD" and rule.startswith("/api"):
                assert_problem(answer, answer.status_code, "unauthorized" if role == "nobody" else "role-required")


@pytest.mark.parametrize("role", [*PEOPLE, "scraper"])
def test_options_and_unknown_methods_tell_only_who_may_call_a_route(request, role):
    person = request.getfixturevalue(role)
    for rule, statuses in OPTIONS.items():
        status = status_of(role, statuses)
        assert person.options(filled(rule)).status_code == status
        assert person.patch(filled(rule)).status_code == (405 if status == 200 else status)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "patch"])
@pytest.mark.parametrize(
    "url",
    ["/api", "/api/", "/api/webreports", "/api/deploymentmetrics//", "/api/deploymentmetrics/a/b/c", "/api//login"],
)
def test_unknown_urls_of_the_api(nobody, operator, webui, master, url, method):
    assert_problem(getattr(nobody, method)(url), 401, "unauthorized")
    for person in (operator, webui):
        assert_problem(getattr(person, method)(url), 403, "role-required", detail=MASTER_OPERATOR_NEEDED)
    assert_problem(getattr(master, method)(url), 404, "not-found")


@pytest.mark.parametrize("role", PEOPLE)
def test_a_slash_at_the_end_changes_nothing(request, services, role):
    person = request.getfixturevalue(role)
    for (method, rule), statuses in ACCESS.items():
        if method == "GET" and rule.startswith("/api"):
            services.service.save("custom", b"1", "test")
            plain, slash = person.get(filled(rule)), person.get(f"{filled(rule)}/")
            assert slash.status_code == plain.status_code, rule
            assert slash.data == plain.data or slash.get_json().items() - plain.get_json().items() == {
                ("requestId", slash.headers["X-Request-ID"])
            }
    if role == "webui":
        assert person.post(f"{URL}/", data="2").status_code == 200
        assert_problem(person.post(f"{LIST}/", data="2"), 403, "role-required")


def test_the_words_of_a_refusal(operator, webui):
    assert MASTER_OPERATOR_NEEDED == "Action requires master operator privileges."
    for person in (operator, webui):
        for url in (LIST, URL):
            assert_problem(person.get(url), 403, "role-required", detail=MASTER_OPERATOR_NEEDED)
    assert "master-operator, webui-app" in assert_problem(operator.post(URL, data="1"), 403)["detail"]


def test_a_route_that_names_no_role_is_for_master_operators(app, nobody, operator, webui, master):
    app.add_url_rule("/api/later", view_func=lambda: "later")
    people = (nobody, operator, webui, master)
    assert [person.get("/api/later").status_code for person in people] == [401, 403, 403, 200]


BASIC = 'Basic realm="BigFix Server", charset="UTF-8"'
BEARER = 'Bearer realm="BigFix Server", error="invalid_token"'


@pytest.mark.parametrize(
    ("credential", "offered"),
    [
        ({}, BASIC),
        ({"Authorization": "Basic eDp5"}, BASIC),
        ({"SessionToken": "x"}, BASIC),
        ({"Authorization": "Bearer wrong"}, f"{BASIC}, {BEARER}"),
        ({"Authorization": "bearer"}, f"{BASIC}, {BEARER}"),
    ],
)
def test_a_refusal_offers_what_was_tried(nobody, credential, offered):
    answer = nobody.get(LIST, headers=credential)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == offered


def test_an_empty_session_token_is_a_broken_credential(master):
    """Also beside a right one: a header that is sent says who is asking."""
    for answer in (
        master.get(LIST, headers={"SessionToken": ""}),
        master.client.get(LIST, headers={"SessionToken": ""}),
    ):
        assert "SessionToken header is empty" in assert_problem(answer, 401, "unauthorized")["detail"]
