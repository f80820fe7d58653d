"""The other files of ``deploy/``: what they name of the program exists, and systemd finds the unit safe."""

import re
import subprocess

import click
import pytest
import yaml
from proxies import program
from serving import ROOT

from deploymetrics.cli import main
from deploymetrics.config.instance import INSTANCE
from deploymetrics.config.settings import BY_NAME, PREFIX

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "deploymetrics.service"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_and_command_is_one_of_the_program(path):
    text = path.read_text()
    for name in re.findall(rf"\b{PREFIX}\w+", text):
        assert name == INSTANCE or name.removeprefix(PREFIX) in BY_NAME, name
    # Only where a shell or a list of arguments names the program.
    for words in re.findall(r"(?:bin/|run --rm |-- |['\"(]|\|\| )deploymetrics ([a-z][a-z -]*)", text):
        group = main
        for word in words.split():
            if word.startswith("-") or not isinstance(group, click.Group):
                break
            assert word in group.commands, words
            group = group.commands[word]


@pytest.mark.parametrize("unit", [UNIT, DEPLOY / "scale" / "patroni.service"], ids=lambda path: path.name)
def test_systemd_reads_the_unit(tmp_path, unit):
    # It checks that the program is there, which here it is not, and that its account is.
    text = re.sub("/opt/deploymetrics/bin/deploymetrics|/usr/bin/patroni", "/bin/true", unit.read_text())
    (tmp_path / unit.name).write_text(text)
    command = [program("systemd-analyze", "systemd"), "verify", str(tmp_path / unit.name)]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert (shown.returncode, shown.stdout + shown.stderr) == (0, "")


def test_systemd_finds_little_that_the_unit_leaves_open():
    command = [program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", str(UNIT)]
    shown = subprocess.run(command, capture_output=True, text=True).stdout
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", shown)[1]) < 2.0


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in (".yaml", ".yml")], ids=lambda path: path.name
)
def test_yaml_is_read(path):
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(path.read_text()))


def test_what_the_compose_file_mounts_is_there():
    services = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())["services"]
    places = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    assert [place for place in places if place.startswith("../") and not (DEPLOY / "container" / place).exists()] == []
    assert (DEPLOY / "container" / services["deploymetrics"]["build"]["context"]).resolve() == ROOT


def test_what_the_image_is_made_of_is_there():
    """And its health check is in the form that only one of the two formats keeps."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    sources = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    assert sources and all((ROOT / source).exists() for source in sources)
    assert "HEALTHCHECK" in text and "build --format docker " in text
