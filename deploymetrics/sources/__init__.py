"""Sources: where the collector's metrics come from.

A source is a class with one method, in one file, and has one row in ``BUILT_IN``; a third party's has a row under the
entry point group ``deploymetrics.sources`` of its own package instead.
"""

import logging
import math
import os
import traceback
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from ..errors import DeploymetricsError, SettingError

GROUP = "deploymetrics.sources"
BUILT_IN = (
    ("server", "deploymetrics.sources.server:ServerSource"),
    ("bigfix", "deploymetrics.sources.bigfix:BigFixSource"),
)
MAX_NAME = 200
MAX_REASON = 400
log = logging.getLogger(__name__)


class SourceError(DeploymetricsError):
    """A source has no answer, and why, in a sentence that is stored and shown.

    ``permanent`` says that trying again is useless, or harmful, until somebody changes the configuration.
    """

    status = 503
    code = "source-failed"

    def __init__(self, detail, *, permanent=False):
        super().__init__(one_line(detail))
        self.permanent = permanent


class Findings(NamedTuple):
    """What a source found: ``values`` by name; ``failed`` has a reason for each name whose last value is to stay;
    ``warning`` is a sentence for the administrator."""

    values: dict
    failed: dict = {}
    warning: str = ""


class Context(NamedTuple):
    """What a source is made with: the settings by name, the instance folder, the storage, the Service and Accounts."""

    settings: dict
    instance: str
    store: Any
    service: Any
    accounts: Any


class Source:
    """The base of every source."""

    def __init__(self, context):
        self.context = context
        self.settings = context.settings

    @classmethod
    def is_wanted(cls, settings):
        """Whether the settings ask for this source."""
        return True

    def collect(self):
        """A dict of name → value, or Findings; raises SourceError.

        A value is text, a number, True or False, a list of those, or a dict of name → one of those. It is called in
        a process of its own, which is killed when it takes longer than COLLECT_TIMEOUT_SECONDS.
        """
        raise NotImplementedError

    def configuration(self):
        """What the answer depends on, as JSON: when it changes, a permanent error is tried again at once."""
        return {}


class Unloadable(Source):
    """Stands for a source that cannot be loaded, so that this is seen wherever a failure is."""

    def __init__(self, reason):
        self._reason = reason

    def collect(self):
        raise SourceError(self._reason, permanent=True)

    def configuration(self):
        return {"unloadable": self._reason}


def load_sources(context, built_in=BUILT_IN, others=None):
    """(name, source) of every source that the settings ask for: our own first, then third parties' by name.

    One that cannot be loaded is there and fails. Raises SettingError for two of one name.
    """
    found = entry_points(group=GROUP) if others is None else others
    rows = [*built_in, *sorted((point.name, point.value) for point in found)]
    sources = {}
    for name, where in rows:
        if name in sources:
            raise SettingError(f"There are two sources named {name}.")
        source = _load(name, where, context)
        if source is not None:
            sources[name] = source
    return list(sources.items())


def _load(name, where, context):
    """The source, or None where the settings do not ask for it."""
    module, _, attribute = where.partition(":")
    try:
        source = getattr(import_module(module), attribute)
        return source(context) if source.is_wanted(context.settings) else None
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, place_of(error))
        return Unloadable(f"The source cannot be loaded from {where}: {type(error).__name__}.")


def rendered(values):
    """The values with every scalar as text, as BigFix has them; raises SourceError naming what is nonsense."""
    if not isinstance(values, dict):
        raise SourceError(f"The source gave {type(values).__name__} and not names with values.")
    return {metric_name(name): _value(name, value) for name, value in values.items()}


def metric_name(name):
    """The name; raises SourceError unless it is one."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise SourceError(f"A metric's name is not a text of 1 to {MAX_NAME} printable characters.")
    return name


def _value(name, value):
    if isinstance(value, dict):
        return {_scalar(name, key): _scalar(name, count) for key, count in value.items()}
    if isinstance(value, list | tuple):
        return [_scalar(name, part) for part in value]
    return _scalar(name, value)


def _scalar(name, value):
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, int) or isinstance(value, float) and math.isfinite(value):
        return str(value)
    raise SourceError(f"The metric {one_line(name)} is neither text nor a number.")


def _encodable(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SourceError("A text holds half of a surrogate pair.") from None
    return text


def printable(text):
    """The text on one line, without characters that could steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def one_line(text):
    """The text on one line, cut to what fits a report."""
    return printable(text)[:MAX_REASON]


def place_of(error):
    """Where an exception came from, innermost first, as ``file:line < file:line``.

    For the log in place of a traceback, which has the message: that of an unforeseen error may hold a secret.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
