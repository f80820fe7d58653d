"""Asks a source as the collector does."""

import time

from deploymetrics.collector import isolation
from deploymetrics.sources import Round


def ask(name, source, *, seconds=60, stop=None, now=1000.0, **known):
    """Return its Outcome; ``known`` is what a Round has of the one before."""
    current = Round(now, seconds, time.monotonic() + seconds, **known)
    return isolation.ask(name, source, current, stop or isolation.Stop())
