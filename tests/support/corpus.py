"""Inputs that are kept: of each kind a line each in ``tests/corpus``, with what is not ASCII as Python escapes it.

What a longer search finds (``make fuzz``) is added there, and tried each time from then on. The environment variable
FUZZ says of how many examples a search is made.
"""

import os
from pathlib import Path

from hypothesis import example, settings

FOLDER = Path(__file__).parents[1] / "corpus"

if FUZZ := int(os.environ.get("FUZZ", "0")):
    settings.register_profile("fuzz", max_examples=FUZZ)
    settings.load_profile("fuzz")


def lines_of(kind):
    """The inputs of a kind, as bytes."""
    return [
        line.encode("ascii").decode("unicode_escape").encode("latin-1")
        for line in (FOLDER / f"{kind}.txt").read_text().splitlines()
    ]


def kept(kind, read=bytes):
    """Have hypothesis try the inputs of a kind first, as ``read`` makes them of bytes."""

    def decorate(test):
        for line in lines_of(kind):
            test = example(read(line))(test)
        return test

    return decorate
