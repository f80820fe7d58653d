"""The login cookie belongs to one instance: two on one host share a browser's cookies, and not their sessions."""

import pytest
from accesskit import LIST
from conftest import PASSWORD

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

LOGIN = {"name": "jo", "password": PASSWORD}


@pytest.mark.parametrize(
    ("address", "prefix", "name", "path"),
    [
        ("http://host.example", "", "deploymetrics", "/"),
        ("http://host.example:52311", "", "deploymetrics-52311", "/"),
        ("http://[2001:db8::1]:52311", "", "deploymetrics-52311", "/"),
        ("http://[2001:db8::1]", "", "deploymetrics", "/"),
        ("http://host.example:52311", "/bigfix", "deploymetrics-52311", "/bigfix"),
        ("https://host.example:52311", "/bigfix", "__Secure-deploymetrics-52311", "/bigfix"),
        ("https://host.example:52311", "", "__Host-deploymetrics-52311", "/"),
        ("https://host.example", "", "__Host-deploymetrics", "/"),
    ],
)
def test_the_name_and_path_of_the_cookie(app, services, address, prefix, name, path):
    services.accounts.add("jo", Role.MASTER_OPERATOR, PASSWORD)
    client = app.test_client()
    answer = client.post("/login", base_url=address + prefix, data=LOGIN)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{name}=") and f"; Path={path};" in f"{cookie};"
    assert client.get(LIST, base_url=address + prefix).status_code == 200
    assert client.post("/logout", base_url=address + prefix).status_code == 302
    assert client.get(LIST, base_url=address + prefix).status_code == 401


def test_two_instances_on_one_host(tmp_path):
    addresses = ["http://localhost:1", "http://localhost:2"]
    jar = {}
    clients = [create_app(tmp_path / str(number)).test_client() for number in range(2)]
    for client in clients:
        client.application.extensions["deploymetrics"].accounts.add("jo", Role.MASTER_OPERATOR, PASSWORD)
        client._cookies = jar  # as a browser has it: a cookie belongs to a host, whatever the port
    for client, address in zip(clients, addresses, strict=True):
        assert client.post("/login", base_url=address, data=LOGIN).status_code == 302
    for client, address in zip(clients, addresses, strict=True):
        assert client.get(LIST, base_url=address).status_code == 200
    assert clients[0].post("/logout", base_url=addresses[0]).status_code == 302
    assert [client.get(LIST, base_url=each).status_code for client, each in zip(clients, addresses, strict=True)] == [
        401,
        200,
    ]


OLD, NEW = "the old key of 16", "the new key of 16"


@pytest.mark.parametrize(("settings", "status"), [({"SECRET_KEY_FALLBACKS": [OLD]}, 200), ({}, 401)])
def test_a_new_key_logs_nobody_out_while_the_old_one_is_named(tmp_path, clock, settings, status):
    client = create_app(tmp_path / "instance", {"SECRET_KEY": OLD}, clock).test_client()
    client.application.extensions["deploymetrics"].accounts.add("jo", Role.MASTER_OPERATOR, PASSWORD)
    client.post("/login", data=LOGIN)
    cookie = client.get_cookie("deploymetrics").value
    later = create_app(tmp_path / "instance", {"SECRET_KEY": NEW, **settings}, clock).test_client()
    later.set_cookie("deploymetrics", cookie)
    assert later.get(LIST).status_code == status
    # A use signs the cookie with the new key, so that the old one can go.
    last = create_app(tmp_path / "instance", {"SECRET_KEY": NEW}, clock).test_client()
    last.set_cookie("deploymetrics", later.get_cookie("deploymetrics").value)
    assert last.get(LIST).status_code == status


@pytest.mark.parametrize(
    ("seconds", "status"), [(-1, 200), (-60, 200), (-61, 401), (7 * 86400 - 1, 200), (7 * 86400 + 1, 401)]
)
def test_a_cookie_of_a_clock_that_is_a_little_ahead_is_one_of_now(app, services, clock, seconds, status):
    app.config["LOGIN_SECONDS"] = services.sessions.limit = 30 * 86400  # it is the cookie's age that ends it
    services.accounts.add("jo", Role.MASTER_OPERATOR, PASSWORD)
    client = app.test_client()
    client.post("/login", data=LOGIN)
    clock.forward(seconds=seconds)
    assert client.get(LIST).status_code == status
