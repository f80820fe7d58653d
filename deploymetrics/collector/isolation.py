"""Asks a source, so that one that hangs, fails or ends the process harms only its own answer.

Sources run in the collector's own process, one after the other. That process stands alone already: no request waits for
it, and ``serve`` starts it again when it ends. What is left to do is to end a source that takes too long:

- A timer raises Interrupted in it, whatever Python does there.
- A source that hangs in C never sees that. Then a watchdog ends the process; it is a thread of C and needs nothing of
  Python. What the other sources said is stored by then.
- The next process must not fall into the same hole. So the collector's lock names the source that is being asked, and
  one in which a process ended has failed, with the delay that follows a failure.

What a source leaves behind (memory, threads, processes) stays until the collector ends.
"""

import logging
import sys
from contextlib import redirect_stdout

import msgspec

from ..formats.logs import raised_at
from ..sources import Findings, Round, Source, SourceError, TextValue, as_reason
from ..sources.values import check_name, values_as_text
from .signals import Stop

MAX_ANSWER = 2**20
log = logging.getLogger(__name__)


class Outcome(msgspec.Struct):
    """The answer of a source in one round; after a failure its ``error``, and what it had found before."""

    values: dict[str, TextValue] = {}
    failed: dict[str, str] = {}
    warning: str = ""
    asked: dict[str, float] = {}
    error: str = ""
    permanent: bool = False


def ask(name: str, source: Source, current: Round, stop: Stop) -> Outcome | None:
    """Ask a source, and return its Outcome, also if it hangs or raises anything; None if ``stop`` came first."""
    try:
        with redirect_stdout(sys.stderr):  # what a source prints is no part of what ``collect`` prints
            return stop.run_limited(current.left(), lambda: _collect_outcome(source, current))
    except SourceError as error:
        return Outcome(error=error.detail, permanent=error.permanent)
    except KeyboardInterrupt:
        return None if stop.is_set else Outcome(error=f"There was no answer within {current.seconds:g} seconds.")
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, raised_at(error))
        return Outcome(error=f"The source failed with {type(error).__name__}; the log says where.")


def _collect_outcome(source: Source, current: Round) -> Outcome:
    try:
        answer = source.collect_round(current)
    except SourceError as error:
        if error.findings is None:
            raise
        return msgspec.structs.replace(_check(error.findings), error=error.detail, permanent=error.permanent)
    outcome = _check(answer if isinstance(answer, Findings) else Findings(answer))
    if outcome.failed and not outcome.values and not outcome.asked:
        name, reason = next(iter(outcome.failed.items()))
        raise SourceError(f"Every metric failed; {name}: {reason}")
    return outcome


def _check(findings: Findings) -> Outcome:
    """Return the Findings as an Outcome, in which metrics have failed whose value is not valid or too large."""
    values, failed = values_as_text(findings.values)
    failed |= {check_name(metric): as_reason(reason) for metric, reason in findings.failed.items()}
    asked = {check_name(metric): float(time) for metric, time in findings.asked.items()}
    sizes = {metric: len(msgspec.json.encode(value)) for metric, value in values.items()}
    total = sum(sizes.values())
    for metric in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= MAX_ANSWER:
            break
        failed[metric] = f"The values of the source take more than {MAX_ANSWER} bytes, this one {sizes[metric]}."
        total -= sizes[metric]
        del values[metric]
    return Outcome(values, failed, as_reason(findings.warning), asked)
