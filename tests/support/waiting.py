"""Waits that have an end, and what a process is doing."""

import time
from pathlib import Path

SECONDS = 60


def wait_for(condition, what, seconds=SECONDS):
    """What ``condition()`` gives once that is true; fails after a while."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)
    return result


def state_of(pid):
    """The state of a process in one letter, such as Z for one that has ended; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid):
    """Whether a process is there and has not ended."""
    return state_of(pid) not in ("", "Z")
