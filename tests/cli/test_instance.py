"""Which folder a command works on: none is made by mistake, and root leaves no file that its account cannot read."""

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploymetrics import create_app
from deploymetrics.cli import main
from deploymetrics.cli.backup import restore
from deploymetrics.cli.group import MAKE_INSTANCE
from deploymetrics.cli.storage import copy
from deploymetrics.config import instance as instances
from deploymetrics.errors import SettingError

ACCOUNT = 12345
HEAD = '{"version":1,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"a",'
LINE = HEAD + '"tag":"x","metrics":1,"lastChanged":"c"}\n'


def invoke(folder, *arguments, **options):
    environment = {"DEPLOYMETRICS_INSTANCE": str(folder)}
    return CliRunner().invoke(main, [str(one) for one in arguments], env=environment, **options)


def all_commands(group, *path):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, *path, name)
        else:
            yield command, (*path, name)


ARGUMENTS = {
    "history": ["x"],
    "export": ["-"],
    "import": [os.devnull],
    "set-password": ["x"],
    "disable": ["x"],
    "enable": ["x"],
    "remove": ["x"],
    "set-role": ["x", "--role", "operator"],
    "limit": ["x"],
    "token add": ["x", "y"],
    "token revoke": ["x", "y"],
    "session list": ["x"],
    "session end": ["x", "--all"],
    "put": ["x", os.devnull],
    "purge": ["x"],
    "backup": ["x"],
}
OTHERS = [
    path
    for command, path in all_commands(main)
    if " ".join(path) not in MAKE_INSTANCE and command not in (restore, copy)
]


@pytest.mark.parametrize("path", OTHERS, ids=" ".join)
@pytest.mark.parametrize("there", [False, True], ids=["missing", "empty"])
def test_a_mistyped_folder_is_no_instance(tmp_path, path, there):
    folder = tmp_path / "mistyped"
    if there:
        folder.mkdir()
    result = invoke(folder, *path, *ARGUMENTS.get(" ".join(path), ARGUMENTS.get(path[-1], [])))
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith(f"Error: There is no instance at {folder}.") and result.stderr.count("\n") == 1
    assert not there and not folder.exists() or list(folder.iterdir()) == []


def test_adding_an_account_makes_an_instance(tmp_path):
    folder = tmp_path / "new" / "instance"
    assert invoke(folder, "account", "add", "alice", "--role", "operator").exit_code == 0
    assert invoke(folder, "verify").exit_code == 0


def test_help_needs_no_instance(tmp_path):
    shown = invoke(tmp_path / "none", "--help")
    assert shown.exit_code == 0 and "export" in shown.stdout and shown.stderr == ""
    assert "No such command 'exprot'" in invoke(tmp_path / "none", "exprot").stderr


def test_a_folder_that_may_not_be_read_is_not_said_to_be_missing(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError

    monkeypatch.setattr(instances.os, "listdir", refuse)
    result = invoke(tmp_path, "verify")
    assert result.exit_code == 1 and "cannot be read by this account" in result.stderr


# --- The default folder


def test_in_a_checkout_it_is_the_folder_instance(monkeypatch):
    assert instances.find_instance() == Path(__file__).parents[2] / "instance"


@pytest.mark.parametrize(
    ("uid", "data", "folder"),
    [
        (0, None, "/var/lib/deploymetrics"),
        (1000, None, "~/.local/share/deploymetrics"),
        (1000, "/srv/data", "/srv/data/deploymetrics"),
    ],
)
def test_elsewhere_it_outlives_the_package(monkeypatch, tmp_path, uid, data, folder):
    monkeypatch.setattr(instances, "__file__", str(tmp_path / "site-packages/deploymetrics/config/instance.py"))
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert instances.find_instance() == Path(folder).expanduser()
    assert Path(sys.prefix) not in instances.find_instance().parents


# --- root on the instance of another account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")


@pytest.fixture
def owned(tmp_path):
    """A folder of another account, in a place that it can reach."""
    # Python may be in root's home, where the account cannot read it: whatever is imported late is imported now.
    for command in (("account", "add", "a", "--role", "operator"), ("account", "set-password", "a"), ("verify",)):
        assert invoke(tmp_path / "warm", *command).exit_code == 0
    assert invoke(tmp_path / "warm", "import", "-", input=LINE).exit_code == 0
    assert invoke(tmp_path / "warm", "export", tmp_path / "warm" / "out").exit_code == 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        path = Path(folder, "instance")
        path.mkdir()
        os.chown(path, ACCOUNT, ACCOUNT)
        yield path


def forked(function, *arguments):
    """Call it in a process of its own, which may give up root's rights; return what it returned."""
    readable, writable = os.pipe()
    if not (pid := os.fork()):
        try:
            os.write(writable, pickle.dumps(function(*arguments)))
        finally:
            os._exit(0)
    os.close(writable)
    with open(readable, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(answer)


def as_roots_command(folder, *arguments, **options):
    def run():
        result = invoke(folder, *arguments, **options)
        return result.exit_code, result.output, {*os.getresuid(), *os.getresgid()}

    return forked(run)


def owners(folder):
    return {path.stat().st_uid for path in folder.rglob("*")}


@as_root
def test_what_root_makes_belongs_to_the_account(owned):
    acts_as = {ACCOUNT}
    for command in (("account", "add", "alice", "--role", "master-operator"), ("account", "set-password", "alice")):
        status, _, ids = as_roots_command(owned, *command)
        assert (status, ids) == (0, acts_as)
    printed = "1 imported, 0 already there, 0 refused\n"
    assert as_roots_command(owned, "import", "-", input=LINE) == (0, printed, acts_as)
    assert as_roots_command(owned, "verify")[0] == 0
    assert owners(owned) == {ACCOUNT}


@as_root
def test_the_folder_stays_the_same_one_for_the_account(owned, monkeypatch, tmp_path):
    monkeypatch.setattr(instances, "__file__", str(tmp_path / "site-packages/deploymetrics/config/instance.py"))
    monkeypatch.delenv("DEPLOYMETRICS_INSTANCE", raising=False)

    def run():
        instances.become_owner(owned)
        return instances.find_instance()

    assert forked(run) == owned


@as_root
@pytest.mark.parametrize("private", ["secret_key", "config.py", "data"])
def test_another_account_is_told_whose_the_files_are(owned, private):
    as_roots_command(owned, "account", "add", "alice", "--role", "operator")
    (owned / "config.py").touch()
    for path in (owned, owned / private):
        os.chown(path, 0, 0)
    owned.chmod(0o755)
    (owned / private).chmod(0o700)

    def run():
        os.setresuid(ACCOUNT, ACCOUNT, ACCOUNT)
        return [invoke(owned, *command).output for command in (["verify"], ["settings"], ["storage", "status"])]

    sentence = (
        f"Error: {owned / private} cannot be read by this account; it belongs to root: run this as that account.\n"
    )
    assert forked(run) == [sentence] * 3


@as_root
def test_a_folder_that_root_makes_belongs_to_who_has_the_one_above(owned):
    assert as_roots_command(owned / "new", "account", "add", "alice", "--role", "operator")[0] == 0
    assert owners(owned) == {ACCOUNT}


@as_root
def test_roots_own_files_are_read_and_written_as_root(owned, tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "in").write_text(LINE)
    as_roots_command(owned, "account", "add", "alice", "--role", "operator")
    assert as_roots_command(owned, "import", tmp_path / "in")[0] == 0
    assert as_roots_command(owned, "export", tmp_path / "out")[0] == 0
    assert (tmp_path / "out").read_text() == LINE and (tmp_path / "out").stat().st_uid == 0


@as_root
def test_a_backup_where_the_account_may_not_write_says_who_may_not(owned, tmp_path):
    tmp_path.chmod(0o700)
    as_roots_command(owned, "account", "add", "alice", "--role", "operator")
    status, printed, _ = as_roots_command(owned, "backup", tmp_path / "backup")
    assert printed.endswith(f"backup'. The command acts as {instances.user_name(ACCOUNT)}.\n")
    assert status == 1


@as_root
@pytest.mark.parametrize("command", [("account", "list"), ("settings",)], ids=" ".join)
def test_the_config_of_an_account_gets_no_rights_of_root(owned, command):
    as_roots_command(owned, "account", "add", "alice", "--role", "operator")
    tried = owned / "tried"
    text = f"import os\ntry:\n    os.seteuid(0)\nexcept OSError:\n    open({str(tried)!r}, 'w').close()\n"
    (owned / "config.py").write_text(text)
    os.chown(owned / "config.py", ACCOUNT, ACCOUNT)
    assert as_roots_command(owned, *command)[0] == 0
    assert tried.stat().st_uid == ACCOUNT


@as_root
def test_another_account_neither_runs_the_config_nor_uses_the_folder(owned):
    as_roots_command(owned, "account", "add", "alice", "--role", "operator")
    (owned / "config.py").write_text("raise SystemExit('it was run')")
    for path in (owned, owned / "config.py"):
        os.chmod(path, 0o755)

    def as_a_third(*command):
        os.setresuid(ACCOUNT + 1, ACCOUNT + 1, ACCOUNT + 1)
        return invoke(owned, *command).output

    for command in (("account", "list"), ("settings",), ("serve",)):
        assert "belongs to the account 12345; run this as that account" in forked(as_a_third, *command)


@as_root
def test_a_server_as_root_is_refused_there(owned):
    with pytest.raises(SettingError, match=f"belongs to the account {ACCOUNT}"):
        create_app(owned)


# --- files that others could read or write


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o620, 0o602])
def test_a_config_that_others_may_write_is_not_run(tmp_path, mode):
    create_app(tmp_path)
    (tmp_path / "config.py").write_text("raise SystemExit('it was run')")
    (tmp_path / "config.py").chmod(mode)
    for command in (("account", "list"), ("settings",)):
        result = invoke(tmp_path, *command)
        assert result.exit_code == 1 and "config.py may be written by others, and is not run" in result.output


@pytest.mark.parametrize(
    ("name", "mode", "sentence"),
    [
        ("secret_key", 0o644, "secret_key may be read by others"),
        ("secret_key", 0o640, "secret_key may be read by others"),
        ("data", 0o755, "data may be read by others"),
        ("data", 0o701, "data may be read by others"),
        (".", 0o707, "may be written by everyone"),
    ],
)
def test_what_must_be_private_is_not_taken_otherwise(tmp_path, name, mode, sentence):
    folder = tmp_path / "instance"
    create_app(folder)
    (folder / name).chmod(mode)
    result = invoke(folder, "account", "list")
    assert result.exit_code == 1 and sentence in result.output


def test_a_file_env_of_the_working_folder_chooses_nothing(tmp_path, monkeypatch):
    pytest.importorskip("dotenv")
    (tmp_path / ".env").write_text(f"DEPLOYMETRICS_INSTANCE={tmp_path / 'theirs'}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    create_app(tmp_path / "theirs")
    result = CliRunner().invoke(main, ["settings"], env={"DEPLOYMETRICS_INSTANCE": None})
    assert "theirs" not in result.output


@as_root
def test_an_account_that_cannot_read_the_program_is_named(owned, tmp_path):
    shutil.copytree(Path(instances.__file__).parents[1], tmp_path / "private" / "deploymetrics")
    (tmp_path / "private").chmod(0o700)
    # Nothing else, such as what has coverage write a file as that account.
    packages = [path for path in sys.path if path.endswith("-packages")]
    environment = {
        "DEPLOYMETRICS_INSTANCE": str(owned),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "private"), *packages]),
    }
    # Without site, which would have the checkout that is installed stand in for what cannot be read.
    command = [sys.executable, "-S", "-m", "deploymetrics", "serve"]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(f"Error: The command acts as {instances.user_name(ACCOUNT)}, who cannot read all")
    assert result.stderr.count("\n") == 1
