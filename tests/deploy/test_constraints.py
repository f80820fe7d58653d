"""``deploy/constraints.txt``: a version and hashes of everything that is deployed, as ``setup.cfg`` allows them."""

import configparser
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from serving import ROOT

CONSTRAINTS = (ROOT / "deploy" / "constraints.txt").read_text()
PINNED = {
    name: (version, rest)
    for name, version, rest in re.findall(r"^(\S+)==(\S+)((?: .*\n| {4}.*\n)*)", CONSTRAINTS, re.MULTILINE)
}


def required():
    """What running needs, with every extra that is not for those who work on it."""
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    extras = dict(found["options.extras_require"])
    lines = [found["options"]["install_requires"], *(extras[name] for name in extras.keys() - {"test", "dev"})]
    return [Requirement(line) for text in lines for line in text.split("\n") if line]


def test_everything_is_pinned_to_what_is_allowed():
    for each in required():
        version, _ = PINNED[canonicalize_name(each.name)]
        assert each.specifier.contains(version), each


def test_what_builds_it_is_of_one_major_version():
    """Nothing pins it but this: an image is built with the newest that this allows."""
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]:
        bounds = {bound.operator: bound.version for bound in Requirement(line).specifier}
        assert bounds.keys() == {">=", "<"} and re.fullmatch(r"\d+", bounds["<"]), line


def test_everything_has_a_hash_and_nothing_a_host():
    assert len(PINNED) > 20 and all("--hash=sha256:" in rest for _, rest in PINNED.values())
    assert not re.search(r"://|--(index|extra|find|trusted)", CONSTRAINTS)


def test_no_lower_bound_has_a_known_hole():
    """What was mended in these versions concerns this server: CVE-2026-27205 and CVE-2025-68480."""
    bounds = {each.name: str(each.specifier) for each in required()}
    assert ">=3.1.3" in bounds["flask"] and ">=4.1.2" in bounds["marshmallow"]
