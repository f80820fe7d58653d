"""Every command line of README and docs does what it says, as it is pasted into bash; zsh calls the same."""

import functools
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from serving import BIN, ROOT, Served
from shellkit import command_for_shells

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.cli import main

#: The first words of command lines.
COMMANDS = (
    *("curl ", "deploymetrics ", "DEPLOYMETRICS_INSTANCE=", "git ", "make ", "pip ", "printf ", "rsync "),
    *("API=", "AUTH=", "TOKEN=$(curl "),
)
PASSWORD = "correct-horse-battery"
SECRET = "a-secret-of-an-application"
NOT_RUN = {
    "git clone <this repository> deploymetrics && cd deploymetrics": "needs the repository's address",
    "pip install 'deploymetrics[granian]'": "comes with the tests",
    "pip install --require-hashes --requirement deploy/constraints.txt": "downloads",
    "pip install --no-deps --force-reinstall --no-index --find-links dist deploymetrics": "needs the wheel",
    "deploymetrics storage copy files: postgresql+psycopg://deploymetrics@db1/deploymetrics": "needs a database",
    "deploymetrics serve --server granian": "serves for ever",
    "make run": "installs into the checkout, and serves for ever",
    "API=http://127.0.0.1:52311/api": "another port here",
    "AUTH=admin:the-password-that-was-printed": "another password here",
    "deploymetrics serve --bind 0.0.0.0:52311 --workers 2 --threads 4 --certfile server.pem"
    " --keyfile server.key": "serves for ever, for everybody",
}
#: How the lines begin that are answered with something else than success.
OTHER_STATUS = {"curl -u $AUTH -H 'If-Match: \"8e1c\"'": "412"}
CURL = """#!/bin/sh
exec {curl} -w '%{{stderr}}\\nHTTP %{{http_code}}\\n' "$@"
"""


@functools.cache
def blocks():
    """The literal blocks of README and docs: the language in a list, or none, and the lines."""
    return list(_blocks())


def _blocks():
    for path in (ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))):
        # Not all of it is known to docutils alone; Sphinx, which knows it, is as strict as it can be (make docs).
        tree = publish_doctree(path.read_text(), str(path), settings_overrides={"report_level": 5})
        for block in tree.findall(nodes.literal_block):
            yield [name for name in block["classes"] if name != "code"], block.astext().splitlines()


def lines():
    return [line for _, block in blocks() if block[0].startswith(COMMANDS) for line in block]


def test_no_block_mixes_commands_with_other_text():
    """An answer or a comment would be taken for a command by a shell that it is pasted into."""
    for _, block in blocks():
        assert len({line.startswith(COMMANDS) for line in block}) == 1, block
    assert not [line for line in lines() if re.search(r"\s#", line)]
    assert set(NOT_RUN) <= set(lines())


def test_the_options_of_serve_are_as_it_says():
    line = next(line for line in NOT_RUN if " serve " in line)
    there = str(ROOT / "README.rst")
    options = [there if word.startswith("server.") else word for word in line.split()[2:]]
    main.commands["serve"].make_context("serve", options)


@pytest.fixture
def place(tmp_path):
    """An environment and a folder with a server, and with curl saying the status of each answer."""
    instance = tmp_path / "instance"
    accounts = create_app(instance).extensions["deploymetrics"].accounts
    accounts.add("admin", Role.MASTER_OPERATOR, PASSWORD)
    accounts.add("webui", Role.WEBUI_APP, SECRET)
    server = Served(("deploymetrics", "serve", "--bind", "127.0.0.1:0"), tmp_path, instance).started()
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "curl"
    wrapper.write_text(CURL.format(curl=shutil.which("curl")))
    wrapper.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PS1": "",
        "TERM": "dumb",
        "API": f"{server.url}/api",
        "AUTH": f"admin:{PASSWORD}",
        "PASSWORD": PASSWORD,
        "SECRET": SECRET,
        "DEPLOYMETRICS_COLLECT": "0",
        "DEPLOYMETRICS_INSTANCE": str(instance),
    }
    with command_for_shells(tmp_path / "bin"):
        yield tmp_path, environment
    server.end()


def pasted(shell, folder, environment, script):
    """What an interactive shell prints whose input is the script."""
    done = subprocess.run(
        [shell, *SHELLS[shell], "-i"],
        cwd=folder,
        env=environment,
        input=script,
        text=True,
        timeout=300,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return done.stdout


SHELLS = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}


def needs(*tools):
    for tool in tools:
        if not shutil.which(tool):
            assert "CI" not in os.environ, f"{tool} is missing"
            pytest.skip(f"needs {tool}")


def test_every_command_works_when_it_is_pasted(place):
    needs("bash", "rsync", "curl")
    run = [line for line in lines() if line not in NOT_RUN]
    again = f"{shutil.which('curl')} -s -u $AUTH -d '[1]' $API/deploymentmetrics/custom >/dev/null"
    script = "".join(f"{again if 'curl ' in line else ':'}\n{line}\nprintf '\\nEXIT %s\\n' $?\n" for line in run)
    printed = re.split(r"^EXIT (\d+)$", pasted("bash", *place, script), flags=re.MULTILINE)[:-1]
    for line, shown, status in zip(run, printed[::2], printed[1::2], strict=True):
        wanted = next((code for begin, code in OTHER_STATUS.items() if line.startswith(begin)), "20[04]")
        statuses = re.findall(r"^HTTP (\d+)$", shown, re.MULTILINE)
        assert status == "0" and all(re.fullmatch(wanted, one) for one in statuses), (line, shown)
        assert bool(statuses) == ("curl " in line), (line, shown)


def test_the_command_that_is_installed_is_ours():
    """The shells call another program, which has the same function carry it out."""
    scripts = distribution("deploymetrics").entry_points.select(group="console_scripts", name="deploymetrics")
    assert [script.load() for script in scripts] == [main]


STAND_IN = """#!/bin/sh
for word in "${0##*/}" "$@"; do echo "<$word>" >>"$CALLS"; done
echo an-answer
"""


def calls(shell, folder):
    """The programs that a shell calls for all lines, and the arguments that it gives them."""
    programs = folder / f"{shell}-programs"
    programs.mkdir()
    names = ("curl", "deploymetrics", "rsync", "git", "make", "pip")
    for name in names:
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    log = folder / f"{shell}-calls"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(log), "PS1": "", "TERM": "dumb"}
    work = folder / f"{shell}-work"
    work.mkdir()
    pasted(shell, work, environment, "".join(f"{line}\n" for line in lines()))
    return log.read_text()


def test_zsh_understands_every_command_as_bash_does(tmp_path):
    needs(*SHELLS)
    bash, zsh = (calls(shell, tmp_path) for shell in SHELLS)
    names = [re.match(r"(TOKEN=\$\()?(curl|deploymetrics|rsync|make|pip) ", line) for line in lines()]
    assert zsh == bash and len(re.findall(r"^<(curl|deploymetrics|rsync|make|pip)>$", bash, re.M)) >= sum(
        map(bool, names)
    )


INTERPRETERS = {"python": sys.executable, "javascript": "node"}


@pytest.mark.parametrize("language", INTERPRETERS)
def test_every_program_works(language, place):
    needs(INTERPRETERS[language])
    folder, environment = place
    programs = ["\n".join(block) for languages, block in blocks() if languages == [language]]
    command = [INTERPRETERS[language], *(["--input-type=module"] if language == "javascript" else [])]
    for program in programs:
        done = subprocess.run(command, input=program, cwd=folder, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, program + done.stdout + done.stderr
    assert programs
