"""What every answer tells a browser, whatever it is an answer to."""

import pytest

DATA = "default-src 'none'; frame-ancestors 'none'"
FILLED = {"<tag>": "custom", "<version>": "1", "<resource>": "login", "<path:filename>": "pages.js", "<name>": "BESAPI"}
PUBLIC = ("/openapi.json", "/static/", "/xmlschema/")
UNKNOWN = ["/api", "/api/nothing", "/nothing", "/api/deploymentmetrics/a%2Fb"]


@pytest.fixture
def urls(app):
    """An address of each route, and some of none."""
    found = {rule.rule for rule in app.url_map.iter_rules()}
    for name, value in FILLED.items():
        found = {rule.replace(name, value) for rule in found}
    return sorted({url.partition("<")[0] for url in found}) + UNKNOWN


def answers(people, urls, **more):
    """(url, answer) of each method at each address."""
    for url in urls:
        for person in people:
            for method in ("GET", "HEAD", "POST", "OPTIONS", "PATCH"):
                answer = person.open(url, method=method, **more)
                yield url, answer
                answer.close()


def test_every_answer_says_what_a_browser_may_do_and_keep(urls, master, nobody, pages):
    for url, answer in answers((master, nobody, pages), urls):
        policy, kept = answer.headers["Content-Security-Policy"], answer.headers.get("Cache-Control")
        assert answer.headers["X-Content-Type-Options"] == "nosniff", url
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", url
        if answer.mimetype == "text/html" and (not url.startswith("/api") or url == "/api/docs"):
            assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy, url
        else:
            assert policy == DATA, url
        assert "Strict-Transport-Security" not in answer.headers
        if not url.startswith(PUBLIC) and answer.status_code != 200 or answer.data:
            assert kept == "no-store" or url.startswith(PUBLIC) or answer.request.method == "OPTIONS", url


def test_a_conditional_request_works_all_the_same(master):
    saved = master.put("/api/deploymentmetrics/custom", data="1")
    answer = master.get("/api/deploymentmetrics/custom", headers={"If-None-Match": saved.headers["ETag"]})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (304, "no-store")


@pytest.mark.parametrize(("app_settings", "header"), [(None, "max-age=31536000"), ({"HSTS_SECONDS": 0}, None)])
def test_over_https_browsers_are_told_to_stay_there(urls, master, nobody, header):
    for url, answer in answers((master, nobody), urls, base_url="https://localhost"):
        assert answer.headers.get("Strict-Transport-Security") == header, url


def test_a_logout_has_the_browser_forget(pages):
    """Not all cookies, which would be those of other instances and programs on this host as well."""
    assert pages.post("/logout").headers["Clear-Site-Data"] == '"cache", "storage"'
    assert pages.post("/logout", base_url="http://localhost/bigfix").headers["Clear-Site-Data"] == '"cache"'


def test_no_folder_is_listed(master):
    for folder in ("/static/", "/xmlschema/", "/static/..", "/static/../"):
        assert master.get(folder).status_code == 404


def test_an_argument_that_comes_twice_means_its_first(master, save):
    for tag in "abc":
        save(tag, b"1")
    assert len(master.get("/api/deploymentmetrics?limit=1&limit=2").json) == 1
    assert master.get("/api/deploymentmetrics?limit=1&limit=x").status_code == 200
    assert master.get("/api/deploymentmetrics?limit=x&limit=1").status_code == 400
