"""The stored state of each source: its last good values, when it was asked, and how it failed."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from ..clock import as_precise
from ..errors import DamagedItemError
from ..sources import TextValue
from ..storage import Collection, Record, Storage
from .isolation import Outcome

T = TypeVar("T")


class SourceState(Record, frozen=True, omit_defaults=True):
    """The state of a source. Times are precise texts, or empty for never.

    ``configuration``: a keyed hash of what the answer depends on.
    ``reason``, ``permanent``: of the last failure.
    ``failures``: how many there were since the last success.
    ``rounds``, ``failedRounds``: how often it was asked, and failed as a whole.
    ``nextAttempt``: in seconds since 1970.
    ``warning``: of the last success.
    ``failed``: metric → why it kept its last value when it was asked last.
    ``asked``: metric → when it was asked last, in seconds since 1970; only for a source that says so.
    ``values``: metric → the last good value.
    ``dropped``: that the settings ask for it no more; should they again, it goes on from here.
    ``damaged``: that what was stored cannot be read. It is never stored.
    """

    name: str
    configuration: str = ""
    lastSuccess: str = ""
    lastFailure: str = ""
    reason: str = ""
    permanent: bool = False
    failures: int = 0
    rounds: int = 0
    failedRounds: int = 0
    nextAttempt: float = 0.0
    warning: str = ""
    failed: dict[str, str] = {}
    asked: dict[str, float] = {}
    values: dict[str, TextValue] = {}
    dropped: bool = False
    damaged: bool = False

    @property
    def is_fresh(self) -> bool:
        """Return True if the last attempt succeeded, for every metric that was asked."""
        return bool(self.lastSuccess) and not self.failures and not self.failed


COLLECTOR = Collection("collector", SourceState)


def read_states(store: Storage) -> list[SourceState]:
    """Return the stored SourceState of every source that is not dropped, ordered by name."""
    return [state for name in store.keys(COLLECTOR) if not (state := read_state(store, name)).dropped]


def read_state(store: Storage, name: str) -> SourceState:
    """Return the SourceState of one source: an empty one if it was never asked, one marked damaged if it is."""
    try:
        item = store.read(COLLECTOR, name)
    except DamagedItemError as error:
        return SourceState(name, reason=error.detail, permanent=True, failures=1, damaged=True)
    state: SourceState = item.record if item else SourceState(name)
    return state


def save_state(store: Storage, state: SourceState, author: str) -> None:
    """Store the SourceState of a source. Raises StorageError."""
    store.write(COLLECTOR, state.name, author, lambda current, now: msgspec.json.encode(state))


def after_success(state: SourceState, outcome: Outcome, now: datetime, delay: int) -> SourceState:
    """Return the state of a source after a success; a metric that failed, or was not asked, keeps its last value."""
    return msgspec.structs.replace(
        state,
        lastSuccess=as_precise(now),
        rounds=state.rounds + 1,
        failures=0,
        permanent=False,
        nextAttempt=now.timestamp() + delay,
        warning=outcome.warning,
        failed=_keep_old(state.failed, outcome) | outcome.failed,
        asked=outcome.asked,
        values=keep_order(state.values, _keep_old(state.values, outcome) | outcome.values),
    )


def after_failure(state: SourceState, outcome: Outcome, now: datetime, delay: int) -> SourceState:
    """Return the state of a source after a failure: all values stay but those that were found before it."""
    return msgspec.structs.replace(
        state,
        lastFailure=as_precise(now),
        reason=outcome.error,
        permanent=outcome.permanent,
        failures=state.failures + 1,
        rounds=state.rounds + 1,
        failedRounds=state.failedRounds + 1,
        nextAttempt=now.timestamp() + delay,
        failed={name: reason for name, reason in state.failed.items() if name not in outcome.values} | outcome.failed,
        asked=state.asked | outcome.asked,
        values=state.values | outcome.values,
    )


def _keep_old(old: dict[str, T], outcome: Outcome) -> dict[str, T]:
    """Return the old values of metrics that failed in this round, or that a source keeps without asking for them."""
    return {
        name: value
        for name, value in old.items()
        if name not in outcome.values and (name in outcome.failed or name in outcome.asked)
    }


def keep_order(before: Iterable[str], values: dict[str, T]) -> dict[str, T]:
    """Return the values with the names in ``before`` first, in that order, so that metrics keep their places."""
    return {name: values[name] for name in dict.fromkeys([*before, *values]) if name in values}
