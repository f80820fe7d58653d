"""Sources: where the collector's metrics come from.

A source is a class with one method, in one file, and has one row in ``BUILT_IN``; a third party's has a row under the
entry point group ``deploymetrics.sources`` of its own package instead.
"""

import logging
import math
import os
import time
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple, TypeAlias

from ..accounts.service import Accounts
from ..documents.service import Documents
from ..errors import DeploymetricsError, SettingError
from ..storage import Storage

GROUP = "deploymetrics.sources"
BUILT_IN = (
    ("server", "deploymetrics.sources.server:ServerSource"),
    ("bigfix", "deploymetrics.sources.bigfix:BigFixSource"),
)
MAX_NAME = 200
MAX_REASON = 400
#: What a source may give for a metric, and the form in which it is stored and published.
Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | Sequence[Scalar] | dict[Any, Any]
Rendered: TypeAlias = str | list[str] | dict[str, str]
log = logging.getLogger(__name__)


class Findings(NamedTuple):
    """What a source found.

    ``values``: metric → its value.
    ``failed``: metric → the reason why it has none; its last value stays.
    ``warning``: a sentence for the administrator.
    ``asked``: metric → when it was asked last, in seconds since 1970, or 0 for never. It comes back in the next Round.
    A metric that is here and not among the values keeps its last value, so a source that asks only some names all.
    """

    values: dict[str, Value]
    failed: dict[str, str] = {}
    warning: str = ""
    asked: dict[str, float] = {}


class SourceError(DeploymetricsError):
    """A source has no answer, and why, in a sentence that is stored and shown.

    ``permanent`` says that trying again is useless, or harmful, until somebody changes the configuration. ``findings``
    is what was found before.
    """

    status = 503
    code = "source-failed"

    def __init__(self, detail: str, *, permanent: bool = False, findings: Findings | None = None) -> None:
        super().__init__(one_line(detail))
        self.permanent = permanent
        self.findings = findings


class Context(NamedTuple):
    """What a source is made with: settings by name, the instance folder, the storage, documents and accounts."""

    settings: dict[str, Any]
    instance: str
    store: Storage
    documents: Documents
    accounts: Accounts


class Round(NamedTuple):
    """One collection, for a source that does not ask everything each time, or that has to look at the time.

    ``now``: the time, in seconds since 1970.
    ``seconds``: how long the source may take.
    ``deadline``: when that is over, in the time of ``time.monotonic()``.
    ``asked``, ``failed``, ``warning``: of the Findings before. ``asked`` is empty when everything is to be asked.
    """

    now: float
    seconds: float
    deadline: float
    asked: dict[str, float] = {}
    failed: dict[str, str] = {}
    warning: str = ""

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - time.monotonic()

    def is_due(self, metric: str, every: float) -> bool:
        """Return True if the metric failed, or was not asked for ``every`` seconds. A clock put back makes it due."""
        # A second less: a round starts at the end of the interval, give or take the rounding of numbers.
        last = self.asked.get(metric)
        return not last or metric in self.failed or not 0 <= self.now - last < every - 1


class Source:
    """The base of every source."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings

    @classmethod
    def is_wanted(cls, settings: dict[str, Any]) -> bool:
        """Return True if the settings ask for this source."""
        return True

    def collect(self) -> dict[str, Value] | Findings:
        """Return name → value, or Findings. Raises SourceError.

        A value is text, a number, True or False, a list of those, or a dict of name → one of those. It is interrupted
        when it takes longer than COLLECT_TIMEOUT_SECONDS.
        """
        raise NotImplementedError

    def collect_round(self, current: Round) -> dict[str, Value] | Findings:
        """Do the same with a look at the time and at what was asked before. This is what the collector calls."""
        return self.collect()

    def configuration(self) -> Any:
        """Return what the answer depends on, as JSON: when it changes, everything is asked again at once."""
        return {}


class Unloadable(Source):
    """Stands for a source that cannot be loaded, so that this is seen wherever a failure is."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def collect(self) -> dict[str, Value]:
        raise SourceError(self._reason, permanent=True)

    def configuration(self) -> Any:
        return {"unloadable": self._reason}


def load_sources(
    context: Context, built_in: Iterable[tuple[str, str]] = BUILT_IN, others: Iterable[EntryPoint] | None = None
) -> list[tuple[str, Source]]:
    """Return (name, source) of every source that the settings ask for: our own first, then third parties' by name.

    One that cannot be loaded is there and fails. Raises SettingError for two of one name.
    """
    found = entry_points(group=GROUP) if others is None else others
    rows = [*built_in, *sorted((point.name, point.value) for point in found)]
    sources: dict[str, Source] = {}
    for name, where in rows:
        if name in sources:
            raise SettingError(f"There are two sources named {name}.")
        source = _load(name, where, context)
        if source is not None:
            sources[name] = source
    return list(sources.items())


def _load(name: str, where: str, context: Context) -> Source | None:
    """Return the source, or None if the settings do not ask for it."""
    module, _, attribute = where.partition(":")
    try:
        source: type[Source] = getattr(import_module(module), attribute)
        return source(context) if source.is_wanted(context.settings) else None
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, place_of(error))
        return Unloadable(f"The source cannot be loaded from {where}: {type(error).__name__}.")


def rendered(values: Any) -> tuple[dict[str, Rendered], dict[str, str]]:
    """Return the values with every scalar as text, as BigFix has them, and metric → why its value is nonsense.

    Raises SourceError if they are no dict, or if a name is none.
    """
    if not isinstance(values, dict):
        raise SourceError(f"The source gave {type(values).__name__} and not names with values.")
    good: dict[str, Rendered] = {}
    bad: dict[str, str] = {}
    for name, value in values.items():
        metric_name(name)
        try:
            good[name] = _value(value)
        except ValueError as error:
            bad[name] = one_line(str(error))
    return good, bad


def metric_name(name: Any) -> str:
    """Return the name. Raises SourceError unless it is one."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise SourceError(f"A metric's name is not a text of 1 to {MAX_NAME} printable characters.")
    return name


def _value(value: Any) -> Rendered:
    if isinstance(value, dict):
        return {_scalar(key): _scalar(count) for key, count in value.items()}
    if isinstance(value, list | tuple):
        return [_scalar(part) for part in value]
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Return the value as text. Raises ValueError if it is none, or a number of very many digits."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("A text holds half of a surrogate pair.")
        return value
    if isinstance(value, int) or isinstance(value, float) and math.isfinite(value):
        return str(value)
    raise ValueError("The value is neither text nor a number.")


def printable(text: str) -> str:
    """Return the text on one line, without characters that could steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def one_line(text: str) -> str:
    """Return the text on one line, cut to what fits a report."""
    return printable(text)[:MAX_REASON]


def place_of(error: BaseException) -> str:
    """Return where an exception came from, innermost first, as ``file:line < file:line``.

    For the log in place of a traceback, which has the message: that of an unforeseen error may hold a secret.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
