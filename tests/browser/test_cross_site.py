"""Another site in a real browser: what its forms and scripts can do with the credentials that the browser has."""

import threading

import pytest
from conftest import PASSWORD
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from .conftest import Quiet

URL = "/api/deploymentmetrics/custom"
FORM = '<form method="post" enctype="text/plain" action="{}"><input name="[1" value="2]"><button>Send</button></form>'
ASK = """
async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.status, await answer.text(), answer.headers.get("ETag")];
  } catch (error) { return [error.name]; }
}
"""


@pytest.fixture
def elsewhere(app, services, site):
    """The address of another origin, whose page has a form that posts to the site, and which runs no script."""
    page = Response(FORM.format(site + URL), mimetype="text/html")
    server = make_server("127.0.0.1", 0, page, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def basic(page, name="alice"):
    """An Authorization header, made in the page."""
    return page.evaluate("text => 'Basic ' + btoa(text)", f"{name}:{PASSWORD}")


@pytest.mark.parametrize("known", ["cookie", "basic"])
def test_a_form_of_another_site_stores_nothing(open_page, services, site, elsewhere, known):
    credentials = {"http_credentials": {"username": "alice", "password": PASSWORD}} if known == "basic" else {}
    page = open_page(**credentials)
    if known == "cookie":
        page.context.request.post("/login", form={"name": "alice", "password": PASSWORD})
    page.goto(f"{site}/api/deploymentmetrics")  # from here on the browser knows the name and password by itself
    assert page.locator("body").inner_text() == "[]"
    page.goto(elsewhere)
    with page.expect_response(site + URL) as posted:
        page.get_by_role("button").click()
    assert posted.value.status == (403 if known == "basic" else 401)  # the cookie is not even sent
    assert services.documents.list().items == ()


def test_a_link_from_another_site_opens_an_address_of_the_api(page, site, elsewhere):
    page.goto(elsewhere)
    page.evaluate("url => { location.href = url }", f"{site}/api/deploymentmetrics")
    page.wait_for_url(f"{site}/api/deploymentmetrics")
    assert page.locator("body").inner_text() == "[]"


def test_a_script_of_another_origin_reads_and_writes_nothing(chromium, services, site, elsewhere):
    page = chromium.new_page()  # its console may say what the browser refused
    page.goto(elsewhere)
    for options in ({}, {"method": "PUT", "body": "1"}, {"credentials": "include"}):
        headers = {"headers": {"Authorization": basic(page)}} if "credentials" not in options else {}
        assert page.evaluate(ASK, [site + URL, {**options, **headers}]) == ["TypeError"]
    page.close()
    assert services.documents.list().items == ()


@pytest.mark.parametrize("app_settings", [{"CORS_ORIGINS": ["http://a"]}])
def test_a_script_of_an_allowed_origin_does(app, open_page, site, elsewhere):
    app.config["CORS_ORIGINS"] = (elsewhere,)  # its port is known only now
    page = open_page()
    page.goto(elsewhere)
    headers = {"Authorization": basic(page)}
    status, text, etag = page.evaluate(ASK, [site + URL, {"method": "PUT", "body": "1", "headers": headers}])
    assert (status, etag is not None) == (200, True) and '"metrics":1' in text
    match = {**headers, "If-Match": etag}
    again = page.evaluate(ASK, [site + URL, {"method": "PUT", "body": "2", "headers": match}])
    assert again[0] == 200 and again[2] != etag
    assert page.evaluate(ASK, [site + URL, {"method": "PUT", "body": "3", "headers": match}])[0] == 412
    assert page.evaluate(ASK, [site + URL, {"headers": headers}])[:2] == [200, again[1]]
