"""Some seconds of what ``make soak`` does for minutes: a reload, and as root a full disk, under readers and writers."""

import os
import re
import subprocess
import sys

from serving import ROOT


def test_nothing_is_wrong_and_nothing_is_lost():
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": ""})
    found = dict(re.findall(r"^(.+?) {2,}(\d+)", shown.stdout, re.MULTILINE))
    assert found["wrong answers, 5xx otherwise"] == found["acknowledged writes that were lost"] == "0", shown
    assert int(found["reloads, killed workers"]) >= 1
