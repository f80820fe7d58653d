"""Sources: where the collector's metrics come from.

This is the contract of a source, which is a class with one method. ``loading.py`` finds those that are wanted: our own,
and a third party's by the entry point ``deploymetrics.sources`` of its package. ``values.py`` checks what they give.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from ..accounts.service import Accounts
from ..documents.service import Documents
from ..errors import DeploymetricsError
from ..formats.escaping import on_one_line
from ..storage import Storage

#: The longest sentence of an error that is stored.
MAX_REASON = 400
#: What a source may give for a metric, and the form in which it is stored and published.
Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | Sequence[Scalar] | dict[Any, Any]
TextValue: TypeAlias = str | list[str] | dict[str, str]


class Findings(NamedTuple):
    """The findings of a source in one round.

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
    """Raised by a source that has no answer; the sentence is stored and shown.

    ``permanent`` says that trying again is useless, or harmful, until somebody changes the configuration. ``findings``
    is what was found before.
    """

    status = 503
    code = "source-failed"

    def __init__(self, detail: str, *, permanent: bool = False, findings: Findings | None = None) -> None:
        super().__init__(as_reason(detail))
        self.permanent = permanent
        self.findings = findings


class Context(NamedTuple):
    """The context of a source: settings by name, the instance folder, the storage, documents and accounts."""

    settings: dict[str, Any]
    instance: str
    store: Storage
    documents: Documents
    accounts: Accounts


class Round(NamedTuple):
    """One round of collecting: its time limit, and which metrics were asked before.

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
        """Return True if a metric failed, or was not asked for ``every`` seconds; a clock put back makes all due."""
        # A second less: a round starts at the end of the interval, give or take the rounding of numbers.
        last = self.asked.get(metric)
        return not last or metric in self.failed or not 0 <= self.now - last < every - 1


class Source:
    """The base class of every source, which the collector asks for values."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings

    @classmethod
    def is_wanted(cls, settings: dict[str, Any]) -> bool:
        """Return True if the settings ask for this source."""
        return True

    def collect(self) -> dict[str, Value] | Findings:
        """Return the values by metric, or Findings. Raises SourceError.

        A value is text, a number, True or False, a list of those, or a dict of name → one of those. It is interrupted
        when it takes longer than COLLECT_TIMEOUT_SECONDS.
        """
        raise NotImplementedError

    def collect_round(self, current: Round) -> dict[str, Value] | Findings:
        """Return the values or Findings of a round, by default those of ``collect``; the collector calls this."""
        return self.collect()

    def configuration(self) -> Any:
        """Return the configuration of the source as JSON; when it changes, everything is asked again at once."""
        return {}


def as_reason(reason: str) -> str:
    """Return a sentence on one line, cut to MAX_REASON characters."""
    return on_one_line(reason)[:MAX_REASON]
