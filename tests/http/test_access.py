"""Who may what: every role on every route."""

import pytest
from accesskit import LIST, URL
from problems import assert_problem
from routes import ACCESS, OPTIONS, PEOPLE, filled, status_of

from deploymetrics.http.access import MASTER_OPERATOR_NEEDED


def test_the_table_is_complete(app):
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert routes == set(ACCESS), "A route has a row in ACCESS of tests/support/routes.py."
    of_api = {rule for _, rule in routes if rule.startswith("/api")}
    assert of_api == set(OPTIONS), "A route of the API has a row in OPTIONS of tests/support/routes.py."


@pytest.mark.parametrize("role", [*PEOPLE, "scraper"])
def test_every_role_on_every_route(request, services, role):
    person = request.getfixturevalue(role)
    for (listed, rule), statuses in ACCESS.items():
        services.documents.save("custom", b"1", "test")
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
            services.documents.save("custom", b"1", "test")
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
