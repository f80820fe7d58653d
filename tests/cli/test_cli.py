"""The ``deploymetrics`` command, run in this process."""

import base64
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from serving import make_certificate

from deploymetrics import create_app
from deploymetrics.accounts.service import Accounts
from deploymetrics.cli import main
from deploymetrics.cli.settings import example_text, table_text
from deploymetrics.config.loading import load_settings
from deploymetrics.config.settings import SETTINGS
from deploymetrics.server import master

PASSWORD = "correct horse battery"


@pytest.fixture
def instance(tmp_path):
    """An instance folder without an account."""
    folder = tmp_path / "instance"
    folder.mkdir()
    (folder / "config.py").touch()
    return folder


@pytest.fixture
def run(instance):
    """Run the command with arguments: the result, whose exit code is as said."""

    def call(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(main, arguments, env={"DEPLOYMETRICS_INSTANCE": str(instance)}, input=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


def login(instance, name, password, scheme="Basic"):
    """The status of a login with these credentials."""
    value = base64.b64encode(f"{name}:{password}".encode()).decode() if scheme == "Basic" else password
    client = create_app(instance).test_client()
    return client.get("/api/login", headers={"Authorization": f"{scheme} {value}"}).status_code


def secret_of(result):
    """The secret, which is the only output."""
    secret = result.stdout.removesuffix("\n")
    assert re.fullmatch(r"[\w-]{43}|dm_[0-9a-f]{64}", secret) and result.stderr == ""
    return secret


def assert_error(result, *words):
    """One line on stderr, nothing on stdout."""
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words)


ADD = ("account", "add")


def test_standard_streams_that_are_closed_lead_nowhere(run, instance, monkeypatch):
    run(*ADD, "alice", "--role", "webui-app")
    monkeypatch.setenv("DEPLOYMETRICS_INSTANCE", str(instance))
    names = "stdin", "stdout", "stderr"
    for name in names:
        monkeypatch.setattr(sys, name, None)
    main(["account", "list"], standalone_mode=False)
    streams = [getattr(sys, name) for name in names]
    monkeypatch.undo()
    assert [stream.name for stream in streams] == [os.devnull] * 3
    for stream in streams:
        stream.close()


def test_a_terminal_that_has_not_all_characters_ends_no_command(run, instance):
    run(*ADD, "Łukasz", "--role", "webui-app")
    environment = {"DEPLOYMETRICS_INSTANCE": str(instance)}
    result = CliRunner(charset="latin-1").invoke(main, ["account", "list"], env=environment)
    assert result.exit_code == 0 and "\\u0141ukasz" in result.stdout


@pytest.mark.parametrize("role", ["master-operator", "operator", "webui-app", "scraper"])
def test_a_generated_secret_is_the_only_output(run, instance, role):
    secret = secret_of(run(*ADD, "alice", "--role", role))
    assert login(instance, "alice", secret) == 200
    assert login(instance, "", secret, "Bearer") == (200 if role in ("webui-app", "scraper") else 401)
    assert secret not in "".join(path.read_text() for path in instance.rglob("*") if path.is_file())


@pytest.mark.parametrize("stdin", [PASSWORD, f"{PASSWORD}\n", f"{PASSWORD}\r\n"])
def test_a_password_from_standard_input(run, instance, stdin):
    result = run(*ADD, "jürgen", "--role", "operator", "--password-stdin", stdin=stdin)
    assert (result.stdout, result.stderr) == ("", "")
    assert login(instance, "jürgen", PASSWORD) == 200


def test_the_secret_of_a_webui_application_is_always_generated(run, instance):
    result = run(*ADD, "app", "--role", "webui-app", "--password-stdin", stdin=PASSWORD, code=2)
    assert result.stdout == "" and "always generated" in result.stderr
    secret = secret_of(run(*ADD, "app", "--role", "webui-app"))
    run("account", "set-password", "app", "--password-stdin", stdin=PASSWORD, code=2)
    assert login(instance, "app", secret) == 200


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "control\x07character", "two\nlines of it"])
def test_a_password_that_is_not_taken(run, password):
    assert_error(run(*ADD, "alice", "--role", "operator", "--password-stdin", stdin=password, code=1), "password: ")
    assert run("account", "list").stdout == ""


@pytest.mark.parametrize("name", ["", " alice", "alice ", "a:b", "a\nb", "x" * 65, "é" * 33])
def test_a_name_that_is_not_taken(run, name):
    assert_error(run(*ADD, name, "--role", "operator", code=1), "name: ")
    assert run("account", "list").stdout == ""


def test_a_role_that_there_is_not(run):
    assert "--role" in run(*ADD, "alice", "--role", "king", code=2).stderr
    assert "--role" in run(*ADD, "alice", code=2).stderr


def test_the_life_of_an_account(run, instance):
    run(*ADD, "who stays", "--role", "master-operator")
    first = secret_of(run(*ADD, "alice", "--role", "master-operator"))
    assert run("account", "list").stdout == "alice\tmaster-operator\tenabled\nwho stays\tmaster-operator\tenabled\n"
    second = secret_of(run("account", "set-password", "alice"))
    assert (login(instance, "alice", first), login(instance, "alice", second)) == (401, 200)
    assert run("account", "set-password", "alice", "--password-stdin", stdin=PASSWORD).output == ""
    assert login(instance, "alice", PASSWORD) == 200
    assert run("account", "disable", "alice").output == ""
    assert run("account", "list").stdout.startswith("alice\tmaster-operator\tdisabled\n")
    assert login(instance, "alice", PASSWORD) == 401
    assert run("account", "enable", "alice").output == ""
    assert login(instance, "alice", PASSWORD) == 200
    assert run("account", "remove", "alice").output == ""
    assert login(instance, "alice", PASSWORD) == 401
    assert run("account", "list").stdout == "who stays\tmaster-operator\tenabled\n"


def test_a_new_secret_of_a_webui_application(run, instance):
    first = secret_of(run(*ADD, "app", "--role", "webui-app"))
    second = secret_of(run("account", "set-password", "app"))
    assert (login(instance, "", first, "Bearer"), login(instance, "", second, "Bearer")) == (401, 200)


def test_a_token_that_is_rotated_without_a_gap(run, instance):
    first = secret_of(run(*ADD, "app", "--role", "webui-app"))
    second = secret_of(run("token", "add", "app", "second", "--days", "0"))
    assert [login(instance, "", secret, "Bearer") for secret in (first, second)] == [200, 200]
    assert run("token", "revoke", "app", "secret").output == ""
    assert [login(instance, "", secret, "Bearer") for secret in (first, second)] == [401, 200]
    assert_error(run("token", "revoke", "app", "secret", code=1), "no such token")


def test_tokens_are_listed_with_what_they_may(run):
    run(*ADD, "alice", "--role", "master-operator")
    run("token", "add", "alice", "grafana", "--access", "read-only", "--tag", "web-*", "--tag", "db")
    run("token", "add", "alice", "for ever", "--days", "0")
    (first, second) = (line.split("\t") for line in run("token", "list").stdout.splitlines())
    assert (first[0], first[1], first[3], first[4], first[6]) == ("alice", "grafana", "read-only", "web-* db", "-")
    assert first[5].endswith("Z") and (second[1], second[3:]) == ("for ever", ["full", "", "-", "-"])
    assert run("token", "list", "alice").stdout == run("token", "list").stdout
    assert_error(run("token", "add", "alice", "grafana", code=1), "There is a token grafana already.")
    assert_error(run("token", "add", "alice", "a/b", code=1), "name: It has a slash")
    assert_error(run("token", "add", "alice", "x", "--tag", "", code=1), "tags: It is empty.")
    assert_error(run("token", "add", "nobody", "x", code=1), "no account nobody")
    assert_error(run("token", "list", "nobody", code=1), "no account nobody")


def test_sessions_are_listed_and_ended(run, instance):
    password = secret_of(run(*ADD, "alice", "--role", "operator"))
    for _ in range(3):
        login(instance, "alice", password)
    ids = [line.split("\t")[0] for line in run("session", "list", "alice").stdout.splitlines()]
    assert len(ids) == 3
    run("session", "end", "alice", ids[0])
    assert_error(run("session", "end", "alice", ids[0], code=1), "no such session")
    assert run("session", "list", "alice").stdout.count("\n") == 2
    run("session", "end", "alice", "--all")
    assert run("session", "list", "alice").stdout == ""
    assert "one session by its id" in run("session", "end", "alice", code=2).stderr


def test_the_limits_of_an_application(run, instance):
    run(*ADD, "app", "--role", "webui-app")
    run("account", "limit", "app", "--tag", "web-*", "--documents", "5", "--bytes", "1000", "--posts-a-minute", "60")
    record = create_app(instance).extensions["deploymetrics"].accounts.find("app")
    limits = record.tags, record.max_documents, record.max_bytes, record.posts_a_minute
    assert limits == (("web-*",), 5, 1000, 60)
    assert_error(run("account", "limit", "nobody", code=1), "no account nobody")
    assert_error(run("account", "limit", "app", "--tag", "x" * 65, code=1), "tags: It is longer than 64 bytes")


def test_a_name_that_is_taken(run, instance):
    secret = secret_of(run(*ADD, "Jörg", "--role", "operator"))
    assert_error(run(*ADD, "Jo\u0308rg", "--role", "master-operator", code=1), "There is an account Jörg already.")
    assert login(instance, "Jörg", secret) == 200


@pytest.mark.parametrize("command", ["set-password", "disable", "enable", "remove"])
def test_an_account_that_there_is_not(run, command):
    assert_error(run("account", command, "nobody", code=1), "There is no account nobody.")


def test_a_bad_setting_stops_each_command_and_is_named(run, monkeypatch):
    monkeypatch.setenv("DEPLOYMETRICS_GUESSES", "many")
    for arguments in (("account", "list"), ("serve",)):
        assert_error(run(*arguments, code=1), "GUESSES")


def all_helps(command, *path):
    """(path, help) of a command and of all below it."""
    yield path, CliRunner().invoke(main, [*path, "--help"]).stdout
    for name, below in getattr(command, "commands", {}).items():
        yield from all_helps(below, *path, name)


def test_the_help_of_each_command_is_whole_and_offers_nothing_of_flasks(run):
    helps = dict(all_helps(main))
    assert len(helps) > 30 and all(text.startswith("Usage: ") for text in helps.values())
    cut = [line for text in helps.values() for line in text.splitlines()[1:] if line.endswith("...")]
    assert cut == []
    assert not re.search(r"\n  (run|shell|routes) |--app|--env-file|--debug", helps[()])
    assert "0." in run("--version").stdout


def test_a_role_is_changed_and_ends_the_sessions(run, instance):
    run(*ADD, "who stays", "--role", "master-operator")
    secret = secret_of(run(*ADD, "alice", "--role", "operator"))
    assert run("account", "set-role", "alice", "--role", "master-operator").output == ""
    assert run("account", "list").stdout.startswith("alice\tmaster-operator\tenabled\n")
    assert login(instance, "alice", secret) == 200
    run("account", "set-role", "who stays", "--role", "operator")
    assert_error(run("account", "set-role", "alice", "--role", "operator", code=1), "last enabled master operator")


def test_a_program_keeps_its_role(run):
    run(*ADD, "app", "--role", "webui-app")
    run(*ADD, "alice", "--role", "operator")
    changes = ("app", "operator"), ("app", "master-operator"), ("app", "scraper"), ("alice", "webui-app")
    for name, role in changes:
        assert_error(run("account", "set-role", name, "--role", role, code=1), "remove the account and add it")
    assert run("account", "list").stdout == "alice\toperator\tenabled\napp\twebui-app\tenabled\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("account", "limit", "app", "--tag", ""), "tags: It is empty."),
        (("token", "add", "app", "a token", "--tag", "x" * 65), "64 bytes"),
        (("token", "revoke", "app", "\udcff"), "no such token"),
        (("purge", "a\udcff"), "control character"),
        (("put", "a\udcff", "/dev/null"), "The body is empty"),
        (("storage", "copy", "files:", "somewhere"), "somewhere names no storage"),
        (("storage", "copy", "", "files:"), "names no storage"),
        (("backup", "x" * 5000), "too long"),
        (("export", "/dev/full"), "No space left"),
        (("put", "custom", "/dev/full"), "larger than the limit of 1048576 bytes"),
        (("import", "/dev/full"), "This is not an export: it has a line of more than 67108864 bytes"),
        (("token", "add", "app", "a token", "--tag", "a/b"), "It has a slash"),
        (("account", "limit", "app", "--tag", "a/b"), "tags: It has a slash"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run, arguments, words):
    run(*ADD, "app", "--role", "webui-app")
    run("put", "custom", "-", stdin="1")
    result = run(*arguments, code=1)
    assert result.stderr.splitlines()[-1].startswith("Error: ") and words in result.stderr, result.stderr
    assert result.stdout == "" and "exported" not in result.stderr


def buffered():
    """The environment, without what has Python write each output at once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("settings",), ("serve", "--help"), ("nonsense",)])
def test_an_output_that_is_full_is_said_in_a_sentence(instance, arguments):
    command = [sys.executable, "-m", "deploymetrics", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=buffered(), text=True, timeout=60, check=False
        )
    assert done.returncode in (1, 2) and "Error: " in done.stderr and "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("output", "arguments", "remedy"),
    [
        (
            "full",
            ("account", "add", "new", "--role", "webui-app"),
            "new has it; account set-password gives it another one.",
        ),
        ("closed", ("account", "set-password", "app"), "app has it; account set-password gives it another one."),
        ("full", ("token", "add", "app", "spare"), "The token spare is there; token revoke takes it away."),
    ],
)
def test_a_secret_that_reaches_nobody_says_what_to_do(run, instance, output, arguments, remedy):
    run(*ADD, "app", "--role", "webui-app")
    reading, writing = os.pipe()
    os.close(reading)
    if output == "full":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    command = [sys.executable, "-m", "deploymetrics", *arguments]
    env = {**buffered(), "DEPLOYMETRICS_INSTANCE": str(instance)}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=env, text=True, timeout=60, check=False)
    os.close(writing)
    assert done.returncode == 1 and done.stderr.startswith("Error: The secret could not be printed: "), done.stderr
    assert remedy in done.stderr and done.stderr.count("\n") == 1


def test_a_storage_that_does_not_answer_says_why(run, instance):
    run("put", "custom", "-", stdin="1")
    (log,) = (instance / "data" / "deploymentmetrics" / "custom").glob("*.jsonl")
    log.unlink()
    log.mkdir()
    assert_error(run("put", "custom", "-", stdin="2", code=1), "custom", "not a file")


def test_an_export_that_does_not_fit_leaves_nothing(run, tmp_path, monkeypatch):
    run("put", "custom", "-", stdin="1")

    def full(*files):
        files[1].write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    assert "No space left" in run("export", str(tmp_path / "export"), code=1).stderr
    assert not (tmp_path / "export").exists()


def test_a_number_that_no_computer_counts_to(run):
    assert "range" in run("audit", "--limit", "9" * 30, code=2).stderr


def test_a_backup_whose_name_is_no_text(run, tmp_path):
    assert run("backup", f"{tmp_path}/\udcff").stdout.endswith("\\udcff.\n")


def test_a_user_without_a_name_is_noted_by_number(run, instance, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    run(*ADD, "app", "--role", "webui-app")
    assert f"command line ({os.getuid()})" in run("audit").stdout


# --- serve, up to where gunicorn begins


@pytest.fixture
def served(monkeypatch):
    """A list of the settings with which gunicorn would have begun."""
    calls = []

    def begin(instance, flags, when_ready):
        calls.append(load_settings(instance, flags))
        return SimpleNamespace(run=lambda: when_ready(calls[-1]))

    monkeypatch.setattr(master, "Server", begin)
    return calls


@pytest.fixture
def terminal(monkeypatch):
    """Standard output is a terminal."""
    from deploymetrics.server import first_start

    class Terminal:
        stdout = type("Screen", (), {"isatty": staticmethod(lambda: True)})

    monkeypatch.setattr(first_start, "sys", Terminal)


@pytest.mark.parametrize("bind", ["127.0.0.1:52311", "127.8.8.8:1", "localhost:52311", "[::1]:52311"])
def test_the_first_start_on_a_loopback_address(run, instance, served, terminal, bind):
    shown = run("serve", "--bind", bind).stdout
    password = shown.split("with the password ")[1].split()[0]
    assert f"curl -u admin:{password} -d " in shown and f"http://{bind}/api/deploymentmetrics/custom" in shown
    assert login(instance, "admin", password) == 200
    assert run("serve", "--bind", bind).stdout == ""
    assert [settings["BIND"] for settings in served] == [bind, bind]


def test_the_first_start_on_a_socket_in_the_file_system(run, served, terminal):
    assert "curl --unix-socket /run/metrics -u admin:" in run("serve", "--bind", "unix:/run/metrics").stdout


def test_the_first_start_without_a_terminal_shows_the_password_to_nobody(run, instance, served, caplog):
    shown = run("serve", "--bind", "127.0.0.1:52311")
    path = instance / "first-password"
    password = path.read_text().removesuffix("\n")
    assert path.stat().st_mode & 0o777 == 0o600 and str(path) in caplog.text
    assert run("audit").stdout.split("\t")[1:4] == ["first start", "account add", "admin master-operator"]
    assert password not in shown.output + caplog.text and login(instance, "admin", password) == 200
    client = create_app(instance).test_client()
    client.post("/login", data={"name": "admin", "password": password})
    assert client.get("/").headers["Location"] == "/account"
    run("account", "set-password", "admin", "--password-stdin", stdin=PASSWORD)
    client.post("/login", data={"name": "admin", "password": PASSWORD})
    assert client.get("/").status_code == 200


def test_the_file_of_the_first_password_is_a_new_one(run, instance, served, tmp_path):
    (tmp_path / "elsewhere").write_text("theirs")
    (instance / "first-password").symlink_to(tmp_path / "elsewhere")
    run("serve", "--bind", "127.0.0.1:52311")
    assert (tmp_path / "elsewhere").read_text() == "theirs" and not (instance / "first-password").is_symlink()


def test_a_first_password_whose_file_cannot_be_made_is_not_lost(run, instance, served):
    (instance / "first-password").mkdir()
    (instance / "first-password" / "something").touch()
    shown = run("serve", "--bind", "127.0.0.1:52311", code=1).stderr
    [draft] = instance.glob(".first-password-*")
    assert str(draft) in shown and login(instance, "admin", draft.read_text().strip()) == 200


@pytest.mark.parametrize("shows", [True, False])
def test_of_servers_that_start_at_the_same_time_one_makes_the_account(
    run, instance, served, shows, request, monkeypatch
):
    if shows:
        request.getfixturevalue("terminal")
    monkeypatch.setattr(Accounts, "exist", lambda self: False)
    first, second = (run("serve", "--bind", "127.0.0.1:52311") for _ in range(2))
    assert second.exit_code == 0 and second.stdout == ""
    path = instance / "first-password"
    password = first.stdout.split("with the password ")[1].split()[0] if shows else path.read_text().strip()
    assert login(instance, "admin", password) == 200
    assert path.exists() is not shows and [*instance.glob(".first*")] == []


@pytest.mark.parametrize("bind", ["0.0.0.0:52311", ":52311", "[::]:52311", "192.0.2.1:52311", "example.com:80"])
def test_no_first_start_on_any_other_address(run, served, bind):
    result = run("serve", "--bind", bind, code=1)
    assert "deploymetrics account add admin --role master-operator" in result.stderr
    assert result.stdout == "" and served == []
    assert run("account", "list").stdout == ""
    run(*ADD, "alice", "--role", "operator")
    assert run("serve", "--bind", bind).stdout == "" and len(served) == 1


def test_the_first_start_with_tls(run, served, terminal, tmp_path):
    cert, key = make_certificate(tmp_path)
    shown = run("serve", "--certfile", cert, "--keyfile", key).stdout
    assert "curl -k -u admin:" in shown and "https://127.0.0.1:52311/" in shown


def test_options_go_before_settings(run, served, instance):
    (instance / "config.py").write_text("WORKERS = 7\nTHREADS = 8\nBIND = '127.0.0.1:1'")
    run("serve", "--workers", "3")
    assert [served[0][name] for name in ("WORKERS", "THREADS", "BIND")] == [3, 8, "127.0.0.1:1"]
    for option in ("--workers", "--threads"):
        for value in ("0", "x", "1000"):
            assert option in run("serve", option, value, code=2).stderr
    assert "BIND (command line)" in run("serve", "--bind", "127.0.0.1", code=1).stderr


# --- settings


def test_the_settings_in_force_say_where_they_come_from(run, instance, monkeypatch):
    (instance / "config.py").write_text("WORKERS = 7\nTHREADS = 8\nBIGFIX_PASSWORD = 'hunter2'")
    (instance / "config.py").chmod(0o600)
    monkeypatch.setenv("DEPLOYMETRICS_THREADS", "9")
    shown = run("settings").stdout.splitlines()
    assert shown[0] == f"# The instance folder is {instance}."
    assert "WORKERS = 7  # config.py" in shown and "PROXIES = 0  # default" in shown
    assert "THREADS = 9  # environment, DEPLOYMETRICS_THREADS" in shown
    assert "SECRET_KEY = ...  # file secret_key" in shown and "BIGFIX_PASSWORD = ...  # config.py" in shown
    assert len(shown) == 1 + len(SETTINGS) and os.listdir(instance) == ["config.py"]


def test_the_settings_as_text(run):
    assert run("settings", "--table").stdout == table_text()
    assert run("settings", "--example").stdout == example_text()
