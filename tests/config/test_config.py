"""The settings, row by row, the secret key, and what a server behind proxies believes."""

import os
import re
import stat
import threading

import pytest

from deploymetrics import create_app
from deploymetrics.config.loading import load_settings
from deploymetrics.config.settings import BY_NAME, SECRETS, SETTINGS
from deploymetrics.errors import SettingError

# What no request could reach.
IMPOSSIBLE = [
    "https://h..x",
    "https://.h",
    "https://-h",
    "https://" + "h" * 64,
    "https://" + ".".join(["h" * 49] * 6),
    "https://h:99999",
    "https://h:0",
    "https://h:٣",
    "https://1.2.3.999",
    "https://[::g]",
    "https://[::1",
    "https://[fe80::1%eth0]",
    "https://hö.example",
    "https://\u017f.example",
]

# By name: what the environment says, what that means, and what is refused.
ROWS = {
    "SECRET_KEY": ("0123456789abcdef", "0123456789abcdef", ["", "short"]),
    "BIND": (
        "[::]:80",
        "[::]:80",
        ["", "80", "host", "host:", "host:x", "host:65536", "unix:", "h..x:80", "::1:80", "hö:80"],
    ),
    "SOCKET_MODE": ("660", "660", ["", "rw", "668", "66", "6666"]),
    "WORKERS": ("3", 3, ["0", "x", "257"]),
    "THREADS": ("3", 3, ["0", "x", "257"]),
    "SERVER": ("granian", "granian", ["", "apache"]),
    "CERTFILE": ("server.pem", "server.pem", []),
    "KEYFILE": ("server.key", "server.key", []),
    "ACCESS_LOG": ("no", False, ["perhaps", ""]),
    "STORAGE": ("files:", "files:", ["", "nowhere:", "postgresql://a@b/c", "files:x"]),
    "DATABASE_SECONDS": ("1", 1, ["0", "x", "601"]),
    "DATABASE_PREPARE": ("no", False, ["perhaps"]),
    "MAX_BODY_BYTES": ("1000", 1000, ["0", "-1", "1MB", "", str(2**31)]),
    "SESSION_SECONDS": ("60", 60, ["0", "x", "99999999"]),
    "LOGIN_SECONDS": ("60", 60, ["0", "soon", "999999999"]),
    "SECRET_KEY_FALLBACKS": (
        "Old-key-of-16-chs, older-key-of-16-c",
        ("Old-key-of-16-chs", "older-key-of-16-c"),
        ["short"],
    ),
    "PROOF_SECONDS": ("60", 60, ["0", "x", "86401"]),
    "CREDENTIAL_CACHE_SECONDS": ("0", 0, ["-1", "x", "3601"]),
    "GUESSES": ("3", 3, ["0", "x", "1001"]),
    "GUESSES_PER_ADDRESS": ("3", 3, ["0", "x", "100001"]),
    "SESSION_LIMIT_SECONDS": ("3", 3, ["0", "x", "31536001"]),
    "PASSWORD_HASH": ("scrypt:65536:8:2", "scrypt:65536:8:2", ["", "md5", "scrypt:32768:8:1", "plain"]),
    "GUESS_DELAY_SECONDS": ("3", 3, ["0", "x", "86401"]),
    "HISTORY_VERSIONS": ("1", 1, ["0", "all", "1000001"]),
    "HISTORY_HOURLY_DAYS": ("1", 1, ["0", "x", "36501"]),
    "HISTORY_DAYS": ("1", 1, ["0", "x", "36501"]),
    "HSTS_SECONDS": ("0", 0, ["-1", "x"]),
    "PROXIES": ("2", 2, ["-1", "yes", "11"]),
    "REMOTE_USER_HEADER": ("X-Remote-User", "X-Remote-User", ["X_Remote_User", "a b", "-"]),
    "PROXY_PREFIX": ("yes", True, ["maybe"]),
    "PUBLIC_URL": (
        "https://metrics.example:8443/bigfix/",
        "https://metrics.example:8443/bigfix",
        [
            "metrics.example",
            "ftp://a",
            "https://a/b?c",
            "https://a//b",
            "https://a/..",
            "https://u@a",
            "https://A",
            *IMPOSSIBLE,
        ],
    ),
    "TRUSTED_HOSTS": (
        "a.example, B.example [::1]",
        ("a.example", "b.example", "[::1]"),
        ["a:80", "a/b", "*", *(url[8:] for url in IMPOSSIBLE)],
    ),
    "CORS_ORIGINS": (
        "https://a.example http://b:8080",
        ("https://a.example", "http://b:8080"),
        [
            "*",
            "null",
            "a.example",
            "https://a/",
            "https://a:443",
            "http://a:80",
            "https://*.a",
            "https://a b/c",
            *IMPOSSIBLE,
        ],
    ),
    "LOG_FORMAT": ("json", "json", ["", "xml"]),
    "LOG_LEVEL": ("debug", "debug", ["", "all"]),
    "UNITS": ("queue=items A=ms", ("queue=items", "A=ms"), ["queue", "=x", "a=", "a=b=c", "a=" + "x" * 13]),
    "AUDIT_DAYS": ("1", 1, ["0", "x", "36501"]),
    "AUDIT_MEGABYTES": ("1", 1, ["0", "x", "1000001"]),
    "WEBHOOK_URL": (
        "https://Hooks.example:8443/T0/B-1?x=1&y=%20",
        "https://Hooks.example:8443/T0/B-1?x=1&y=%20",
        [
            "ftp://a",
            "a.example",
            "https://",
            "https://a b",
            "http://a:b/",
            "http://a:b@c/",
            "http://a/ä",
            "http://a\n",
            *IMPOSSIBLE,
        ],
    ),
    "WEBHOOK_SECRET": ("a secret of sixteen", "a secret of sixteen", ["short"]),
    "READ_ONLY": ("yes", True, ["perhaps", ""]),
    "METRICS_PER_TAG": ("0", 0, ["-1", "x", "1000001"]),
    "METRICS_SERIES": ("0", 0, ["-1", "x", "10000001"]),
    "COLLECT": ("false", False, ["perhaps", ""]),
    "COLLECT_INTERVAL_SECONDS": ("60", 60, ["0", "x"]),
    "COLLECT_TIMEOUT_SECONDS": ("60", 60, ["0", "x"]),
    "COLLECT_LONGEST_DELAY_SECONDS": ("60", 60, ["0", "x"]),
    "COLLECT_PERMANENT_DELAY_SECONDS": ("60", 60, ["0", "x"]),
    "BIGFIX_SERVER": (
        "https://host:52311",
        "https://host:52311",
        ["http://h", "h", "https://u:p@h", "https://h/x", *IMPOSSIBLE],
    ),
    "BIGFIX_USER": ("op", "op", []),
    "BIGFIX_PASSWORD": ("secret", "secret", []),
    "BIGFIX_TOKEN": ("secret", "secret", []),
    "BIGFIX_CREDENTIALS_FILE": ("/etc/bigfix", "/etc/bigfix", []),
    "BIGFIX_FINGERPRINT": ("ab" * 32, "ab" * 32, ["x", "ab"]),
    "BIGFIX_CA_FILE": ("/etc/ca.pem", "/etc/ca.pem", []),
    "BIGFIX_CONNECT_SECONDS": ("5", 5, ["0", "x"]),
    "BIGFIX_QUERY_SECONDS": ("5", 5, ["0", "x"]),
    "BIGFIX_METRICS": ('{"a": "now"}', {"a": "now"}, ["x", "[]", '{"a": 5}', '{"a": {"every": -1}}']),
}

#: What has to be set for another setting to be usable.
NEEDED = {"REMOTE_USER_HEADER": {"PROXIES": "1"}, "WEBHOOK_URL": {"WEBHOOK_SECRET": "a secret of sixteen"}}


@pytest.fixture
def instance(tmp_path):
    folder = tmp_path / "instance"
    folder.mkdir(mode=0o700)
    return folder


def write_config(instance, text):
    path = instance / "config.py"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


@pytest.mark.parametrize(
    "host", ["a", "A.b-c.example.", "win_1", "h" * 63, "1.example", "127.0.0.1", "[2001:db8::1]", "xn--h-0ga"]
)
def test_hosts_that_can_be(instance, host):
    url = f"https://{host}:65535"
    overrides = {"WEBHOOK_URL": url, "BIGFIX_SERVER": url, "BIND": f"{host}:0", "TRUSTED_HOSTS": host}
    overrides |= {"PUBLIC_URL": url.lower(), "CORS_ORIGINS": url, "WEBHOOK_SECRET": "a secret of sixteen"}
    settings = load_settings(instance, overrides)
    assert settings["WEBHOOK_URL"] == settings["BIGFIX_SERVER"] == url
    assert settings["CORS_ORIGINS"] == (settings["PUBLIC_URL"],) == (url.lower(),)


def test_a_host_that_is_not_in_ascii_is_told_how_to_be_written(instance):
    with pytest.raises(SettingError, match="It has to be in ASCII: a host as xn--"):
        load_settings(instance, {"PUBLIC_URL": "https://hö.example"})


def test_the_table_is_complete():
    assert set(ROWS) == set(BY_NAME), "A setting has a row in ROWS of this module."
    assert all(re.fullmatch("[A-Z_]+", row.name) and row.help.endswith(".") for row in SETTINGS)


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
class TestRow:
    @pytest.fixture(autouse=True)
    def what_it_needs(self, row, monkeypatch):
        for name, value in NEEDED.get(row.name, {}).items():
            monkeypatch.setenv(f"DEPLOYMETRICS_{name}", value)

    def test_default(self, instance, row):
        found = load_settings(instance)[row.name]
        assert found == row.default or (row.name == "SECRET_KEY" and len(found) == 64)
        if row.default is not None:
            assert load_settings(instance, {row.name: row.default})[row.name] == row.default

    def test_environment_goes_before_the_file(self, instance, monkeypatch, row):
        text, value, _ = ROWS[row.name]
        write_config(instance, f"{row.name} = {value!r}")
        assert load_settings(instance)[row.name] == value
        write_config(instance, f"{row.name} = object()")
        monkeypatch.setenv(f"DEPLOYMETRICS_{row.name}", text)
        assert load_settings(instance)[row.name] == value

    def test_what_is_not_usable_stops_the_start_and_is_named(self, instance, monkeypatch, row):
        for bad in ROWS[row.name][2]:
            monkeypatch.setenv(f"DEPLOYMETRICS_{row.name}", bad)
            with pytest.raises(SettingError, match=rf"\b{row.name}\b"):
                create_app(instance)
        monkeypatch.delenv(f"DEPLOYMETRICS_{row.name}", raising=False)
        write_config(instance, f"{row.name} = object()")
        with pytest.raises(SettingError, match=rf"\b{row.name}\b"):
            create_app(instance)


NEAREST = {
    "MAX_BODY_BITES": "Did you mean MAX_BODY_BYTES?",
    "SECRET": "Did you mean SECRET_KEY?",
    "proxies": "Did you mean PROXIES?",
    "INSTANCE_PATH": "The settings are SECRET_KEY, ",
    "PORT": "The settings are ",
    "": "The settings are ",
}


@pytest.mark.parametrize(("name", "hint"), NEAREST.items())
def test_an_unknown_setting_stops_the_start_and_is_named(instance, monkeypatch, name, hint):
    monkeypatch.setenv(f"DEPLOYMETRICS_{name}", "1")
    with pytest.raises(SettingError) as caught:
        create_app(instance)
    assert f"There is no setting {name} (environment, DEPLOYMETRICS_{name}). {hint}" in str(caught.value)


@pytest.mark.parametrize("variable", ["deploymetrics_proxies", "Deploymetrics_PROXIES"])
def test_the_environment_is_in_upper_case(instance, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingError, match="PROXIES"):
        create_app(instance)


def test_an_unknown_setting_of_the_file_stops_the_start_and_is_named(instance):
    write_config(instance, "MAX_BODY_BITES = 1")
    with pytest.raises(SettingError, match=r"no setting MAX_BODY_BITES \(config.py\). Did you mean MAX_BODY_BYTES"):
        create_app(instance)


@pytest.mark.parametrize("name", ["proxies", "Proxies", "pROXIES"])
def test_a_setting_in_lower_case_stops_the_start_and_is_named(instance, name):
    write_config(instance, f"{name} = 1")
    with pytest.raises(SettingError, match=f"config.py has {name}; settings are in upper case: PROXIES"):
        create_app(instance)


SERVICE_LINKS = {
    "SERVICE_HOST": "10.0.0.1",
    "SERVICE_PORT": "52311",
    "SERVICE_PORT_HTTP": "52311",
    "PORT": "tcp://10.0.0.1:52311",
    "PORT_52311_TCP": "tcp://10.0.0.1:52311",
    "PORT_52311_TCP_PROTO": "tcp",
    "PORT_52311_TCP_PORT": "52311",
    "PORT_52311_TCP_ADDR": "10.0.0.1",
    "PORT_53_UDP": "udp://10.0.0.1:53",
    # a second Service, deploymetrics-web
    "WEB_SERVICE_HOST": "10.0.0.2",
    "WEB_SERVICE_PORT": "80",
    "WEB_PORT": "tcp://10.0.0.2:80",
    "WEB_PORT_80_TCP_ADDR": "10.0.0.2",
}


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting(instance, monkeypatch):
    for name, value in SERVICE_LINKS.items():
        monkeypatch.setenv(f"DEPLOYMETRICS_{name}", value)
    assert load_settings(instance) == load_settings(instance)
    monkeypatch.setenv("DEPLOYMETRICS_PORT", "52311")
    with pytest.raises(SettingError, match="no setting PORT"):
        load_settings(instance)


def test_a_value_says_where_it_comes_from(instance, monkeypatch):
    write_config(instance, "PROXIES = 'many'")
    with pytest.raises(SettingError, match=r"PROXIES \(config.py\)"):
        create_app(instance)
    monkeypatch.setenv("DEPLOYMETRICS_PROXIES", "many")
    with pytest.raises(SettingError, match=r"PROXIES \(environment, DEPLOYMETRICS_PROXIES\)"):
        create_app(instance)


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_taken_from_a_private_file_only(instance, name):
    write_config(instance, f"{name} = '0123456789abcdef'")
    assert load_settings(instance)[name] in ("0123456789abcdef", ("0123456789abcdef",))
    (instance / "config.py").chmod(0o640)
    with pytest.raises(SettingError, match=f"{name} and others may read it"):
        load_settings(instance)


@pytest.mark.parametrize("text", ["PROXIES = ", "1 / 0", "import nothing_of_that_name", "\0"])
def test_a_config_that_fails_stops_the_start(instance, text):
    write_config(instance, text)
    with pytest.raises(SettingError, match="config.py of the instance folder fails"):
        create_app(instance)


def test_what_is_not_upper_case_is_no_setting(instance):
    write_config(instance, "import os\nhalf = 500\nMAX_BODY_BYTES = 2 * half")
    assert load_settings(instance)["MAX_BODY_BYTES"] == 1000


# --- The secret key


def test_the_secret_key_is_generated_once_and_private(instance):
    key = create_app(instance).secret_key
    path = instance / "secret_key"
    assert path.read_text() == key and re.fullmatch("[0-9a-f]{64}", key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert create_app(instance).secret_key == key
    assert [name for name in os.listdir(instance) if name.startswith(".secret_key")] == []


def test_workers_that_start_together_share_the_key(instance):
    start, keys = threading.Barrier(8), []

    def load():
        start.wait(10)
        keys.append(load_settings(instance)["SECRET_KEY"])

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(keys) == 8 and set(keys) == {(instance / "secret_key").read_text()}


def test_a_key_that_is_set_is_not_generated(instance, monkeypatch):
    monkeypatch.setenv("DEPLOYMETRICS_SECRET_KEY", "0123456789abcdef")
    assert create_app(instance).secret_key == "0123456789abcdef"
    assert not (instance / "secret_key").exists()


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_damaged_key_stops_the_start(instance, content):
    (instance / "secret_key").write_bytes(content)
    (instance / "secret_key").chmod(0o600)
    with pytest.raises(SettingError, match="SECRET_KEY"):
        create_app(instance)


def test_the_instance_folder_is_made_private(tmp_path):
    create_app(tmp_path / "new" / "instance")
    assert stat.S_IMODE((tmp_path / "new" / "instance").stat().st_mode) == 0o700


# --- Behind proxies


def test_the_address_of_who_guesses_behind_proxies(tmp_path, master):
    client = create_app(tmp_path / "instance", {"PROXIES": 1}).test_client()

    def status(address):
        return client.get("/api/login", auth=("master-operator", "x"), headers={"X-Forwarded-For": address}).status_code

    assert [status(f"192.0.2.{number}, 198.51.100.1") for number in range(6)] == [401] * 5 + [429]
    assert status("198.51.100.2") == 401
