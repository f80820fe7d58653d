"""nginx and Caddy, with the files of ``deploy/`` but for names and paths, in front of the real server."""

import gzip
import re
import subprocess

import pytest
import requests
from conftest import PASSWORD
from proxies import caddy, free_port, nginx
from serving import ROOT, Served, make_certificate
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

DOCUMENTS = "/api/deploymentmetrics"
SOCKET = "/run/deploymetrics/deploymetrics.sock"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The socket of a server that trusts one proxy."""
    folder = tmp_path_factory.mktemp("proxied")
    accounts = create_app(folder / "instance").extensions["deploymetrics"].accounts
    accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    accounts.add("reports", Role.WEBUI_APP, PASSWORD)
    bind = f"unix:{folder / 'socket'}"
    served = Served(("deploymetrics", "serve", "--bind", bind), folder, folder / "instance", DEPLOYMETRICS_PROXIES="1")
    wait_for((folder / "socket").exists, "the socket")
    yield folder / "socket"
    served.end()


def with_nginx(folder, server, port):
    text = (ROOT / "deploy/nginx/deploymetrics.conf").read_text()
    certificate, key = make_certificate(folder)
    for old, new in (
        (SOCKET, str(server)),
        ("/etc/ssl/deploymetrics/fullchain.pem", certificate),
        ("/etc/ssl/deploymetrics/key.pem", key),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
    ):
        assert old in text
        text = text.replace(old, new)
    return nginx(folder, port, re.sub(r"^ *listen \[::\].*$", "", text, flags=re.M)), certificate


def with_caddy(folder, server, port):
    text = (ROOT / "deploy/caddy/Caddyfile").read_text()
    certificate, key = make_certificate(folder)
    site = f"https://127.0.0.1:{port} {{\n\ttls {certificate} {key}"
    for old, new in ((f"/{SOCKET}", f"/{server}"), ("metrics.example.com {", site)):
        assert old in text
        text = text.replace(old, new)
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
    return caddy(folder, port, options + text), certificate


@pytest.fixture(scope="module", params=[with_nginx, with_caddy], ids=["nginx", "caddy"])
def proxied(request, tmp_path_factory, server):
    """A session of alice's through a proxy, with the address of the server."""
    port = free_port()
    running, certificate = request.param(tmp_path_factory.mktemp("proxy"), server, port)
    with running, requests.Session() as session:
        session.verify, session.auth, session.url = certificate, ("alice", PASSWORD), f"https://127.0.0.1:{port}"
        session.trust_env = False  # the variables of certificates there go before those of a session
        yield session


def test_an_application_posts_and_a_master_operator_reads(proxied):
    metrics = '[{"bla":1.10,"big":1E400}]'
    posted = requests.post(
        f"{proxied.url}{DOCUMENTS}/custom", data=metrics, auth=("reports", PASSWORD), verify=proxied.verify
    )
    assert posted.status_code == 200
    answer = proxied.get(f"{proxied.url}{DOCUMENTS}/custom")
    assert answer.status_code == 200 and f'"metrics":{metrics}' in answer.text
    xml = proxied.get(f"{proxied.url}{DOCUMENTS}/custom", headers={"Accept": "application/xml"}).text
    assert f'Resource="{proxied.url}{DOCUMENTS}/custom"' in xml


def test_compressed_answers_take_part_in_conditions(proxied):
    requests_to = f"{proxied.url}{DOCUMENTS}/compressed"
    proxied.post(requests_to, data="[" + ",".join(["12345"] * 1000) + "]")
    with proxied.get(requests_to, headers={"Accept-Encoding": "gzip"}, stream=True) as answer:
        assert answer.headers["Content-Encoding"] == "gzip" and b"12345" in gzip.decompress(answer.raw.read())
        tag = answer.headers["ETag"]
    again = proxied.get(requests_to, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert again.status_code == 304
    assert proxied.put(requests_to, data="1", headers={"If-Match": tag}).status_code == 200
    assert proxied.put(requests_to, data="2", headers={"If-Match": tag}).status_code == 412


def test_a_person_logs_in_and_out(proxied):
    with requests.Session() as person:
        person.verify, person.trust_env = proxied.verify, False
        page = person.get(f"{proxied.url}/login").text
        token = re.search(r'name="csrf" value="([^"]*)"', page)
        form = {"name": "alice", "password": PASSWORD} | ({"csrf": token[1]} if token else {})
        answer = person.post(f"{proxied.url}/login", data=form, headers={"Origin": proxied.url})
        assert answer.status_code == 200 and "alice" in answer.text and answer.url.startswith(f"{proxied.url}/")
        assert all(cookie.secure for cookie in person.cookies)


def test_a_body_that_is_too_large_is_refused_by_the_server_in_its_form(proxied):
    answer = proxied.post(f"{proxied.url}{DOCUMENTS}/large", data=b"1" * (2**20 + 1))
    assert answer.status_code == 413 and answer.headers["Content-Type"] == "application/problem+json"


def test_a_client_cannot_say_who_or_where_it_is(proxied):
    said = {f"X-Forwarded-{name}": "evil.example" for name in ("For", "Host", "Prefix")}
    answer = proxied.get(f"{proxied.url}/", headers=said | {"Cookie": ""}, auth=lambda request: request)
    assert "evil.example" not in answer.text + str(answer.headers) + str([one.headers for one in answer.history])


def test_no_older_tls_is_taken_than_mozillas_intermediate_list_has(proxied):
    port = proxied.url.rpartition(":")[2]
    offered = {"-tls1_2": True, "-tls1_3": True, "-tls1_1": False, "-tls1_2 -cipher AES128-SHA": False}
    for options, is_taken in offered.items():
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options.split()]
        shown = subprocess.run(command, input=b"", capture_output=True)
        assert (b"Cipher is (NONE)" not in shown.stdout and shown.returncode == 0) == is_taken, options
