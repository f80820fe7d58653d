"""Asks a source as the collector does."""

import gc
import time
import warnings

from deploymetrics.collector import isolation
from deploymetrics.sources import Round


def ask(name, source, *, seconds=60, stop=None, now=1000.0, **known):
    """Return its Outcome; ``known`` is what a Round has of the one before."""
    current = Round(now, seconds, time.monotonic() + seconds, **known)
    outcome = isolation.ask(name, source, current, stop or isolation.Stop())
    if outcome is None or outcome.error:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # a connection that was interrupted stays open; Python shall not tell the next test of it
    return outcome
