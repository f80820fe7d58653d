"""DeploymentMetricsCollectorTask: asks the sources when they are due, and keeps the last good value of each metric.

What a source found stays until it finds something else: a failure is noted beside it and changes nothing else. The
document is composed of what the sources have, so no run can make it worse.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec

from ..clock import Clock, as_precise, from_precise, lies_ahead
from ..documents.service import Documents
from ..errors import DamagedItemError, StorageError
from ..sources import Context, Round, Source
from ..sources.loading import load_sources
from ..storage import Item, Storage
from .isolation import Outcome, ask
from .platform_document import AUTHOR, write_platform
from .signals import Stop
from .states import COLLECTOR, SourceState, after_failure, after_success, read_state, save_state

log = logging.getLogger(__name__)


class Timing(msgspec.Struct, frozen=True):
    """Seconds between rounds, for the answer of a source, and of delays after failures and permanent failures."""

    interval: int
    timeout: int
    longest_delay: int
    permanent_delay: int

    def delay_after(self, failures: int, permanent: bool) -> int:
        """Return the delay after so many failures in a row."""
        doubled = min(self.interval * 2 ** min(failures - 1, 20), self.longest_delay)
        return self.permanent_delay if permanent else max(self.interval, doubled)


class DeploymentMetricsCollectorTask:
    """Asks the sources of a deployment, given by name, when they are due; stores their states and the document."""

    def __init__(
        self, sources: dict[str, Source], documents: Documents, store: Storage, clock: Clock, timing: Timing, key: str
    ) -> None:
        self.sources = sources
        self.documents = documents
        self.store = store
        self.clock = clock
        self.timing = timing
        self._key = key.encode()
        self._unsaved: dict[str, SourceState] = {}

    def due(self, *, first: bool = False, retry: bool = False) -> list[str]:
        """Return the names of the sources that are due.

        ``first`` adds those that did not fail when they were asked last, ``retry`` every other one too.

        One whose SourceState is damaged is never asked: whether its password was refused before is not known, and
        what it says could not be noted.
        """
        states = self.states()
        for state in states:
            if state.damaged:
                log.error("source %s: %s", state.name, state.reason)
        return [state.name for state in states if not state.damaged and (retry or self._is_due(state, first))]

    def states(self) -> list[SourceState]:
        """Return the SourceState of each source, in the order of the document."""
        return [self._read_state(name) for name in self.sources]

    def run(
        self,
        names: list[str],
        stop: Stop,
        note: Callable[[str], object] = lambda name: None,
        *,
        everything: bool = False,
    ) -> list[SourceState]:
        """Ask these sources one after the other, store their states and write the document; return the SourceStates.

        The document is written once, when all have answered: one version, whatever was found. When ``stop`` comes,
        those that have not answered are left out and count as not asked. ``note`` is called with the name of each
        source before it is asked, and with an empty one afterwards. ``everything`` asks also the metrics that are not
        due. Raises StorageError.
        """
        states = []
        for name in names:
            # Before it is asked: a password that is changed meanwhile was not the one that is refused.
            digest = self._digest(name)
            note(name)
            outcome = ask(name, self.sources[name], self._next_round(name, digest, everything), stop)
            note("")
            if outcome is None:
                break
            states.append(self._note_outcome(name, outcome, digest))
            with suppress(StorageError):  # it is tried again below, and then it is an error
                self._save_states()
        self._save_states()
        self._mark_dropped()
        write_platform(self.documents, self.clock, self.states())
        return states

    def note_crash(self, name: str) -> None:
        """Count a failure of the source during which the collector's process ended. Raises StorageError."""
        if name in self.sources and not (state := self._read_state(name)).damaged:
            self._note_outcome(
                name, Outcome(error="The collector ended while it asked this source."), state.configuration
            )
            self._save_states()

    def _next_round(self, name: str, digest: str, everything: bool) -> Round:
        state, seconds = self._read_state(name), self.timing.timeout
        asked = state.asked if digest == state.configuration and not everything else {}
        deadline = time.monotonic() + seconds
        return Round(self.clock.timestamp(), seconds, deadline, asked, state.failed, state.warning)

    def retry_soon(self) -> None:
        """Store that every source which waits after a failure is due now, with all its metrics."""

        def change(current: Item | None, now: datetime) -> bytes | None:
            return current and msgspec.json.encode(msgspec.structs.replace(current.record, nextAttempt=0.0, asked={}))

        for state in self.states():
            if state.failures and not state.damaged:
                self.store.write(COLLECTOR, state.name, AUTHOR, change)

    def delay(self) -> float:
        """Return the seconds until the next source is due, at most the interval."""
        now = self.clock.timestamp()
        times = [state.nextAttempt - now for state in self.states() if not state.damaged]
        return float(max(0, min([*times, self.timing.interval])))

    def heard_at(self) -> datetime | None:
        """Return when a source last answered or failed, or None; times of a clock put back since do not count."""
        now = as_precise(self.clock.now())
        times = [time for state in self.states() for time in (state.lastSuccess, state.lastFailure) if time]
        heard = max((time for time in times if time <= now), default="")
        return from_precise(heard) if heard else None

    def is_overdue(self, state: SourceState) -> bool:
        """Return True if the source should have been asked long ago: the collector does not run, or hangs."""
        late: float = self.clock.timestamp() - state.nextAttempt
        return bool(state.nextAttempt) and late > self.timing.interval + len(self.sources) * self.timing.timeout

    def _read_state(self, name: str) -> SourceState:
        return self._unsaved.get(name) or read_state(self.store, name)

    def _is_due(self, state: SourceState, first: bool) -> bool:
        if self._digest(state.name) != state.configuration or first and not state.failures:
            return True
        longest = max(self.timing.interval, self.timing.longest_delay, self.timing.permanent_delay)
        return not lies_ahead(state.nextAttempt, self.clock.timestamp(), longest)

    def _digest(self, name: str) -> str:
        try:
            text = msgspec.json.encode(self.sources[name].configuration(), order="deterministic")
        except (Exception, SystemExit) as error:  # a third party's, which must not end the others
            log.error("source %s: its configuration cannot be read: %s", name, type(error).__name__)
            text = b""
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def _note_outcome(self, name: str, outcome: Outcome, digest: str) -> SourceState:
        """Work out, remember until it is saved, and return the state of a source after an Outcome."""
        before, now = self._read_state(name), self.clock.now()
        for metric in outcome.failed.keys() - before.failed.keys():
            log.warning("source %s: %s: %s", name, metric, outcome.failed[metric])
        if outcome.error:
            delay = self.timing.delay_after(before.failures + 1, outcome.permanent)
            log.error("source %s: %s Next attempt in %d seconds.", name, outcome.error, delay)
            state = after_failure(before, outcome, now, delay)
        else:
            if outcome.warning and outcome.warning != before.warning:
                log.warning("source %s: %s", name, outcome.warning)
            state = after_success(before, outcome, now, self.timing.interval)
        self._unsaved[name] = state = msgspec.structs.replace(state, configuration=digest, damaged=False)
        return state

    def _save_states(self) -> None:
        # What a full disk refuses stays in memory: else its source would be asked at every round.
        for name, state in list(self._unsaved.items()):
            with suppress(DamagedItemError):  # by now; the next run says so
                save_state(self.store, state, AUTHOR)
            del self._unsaved[name]

    def _mark_dropped(self) -> None:
        """Mark the sources that the settings do not ask for any more as dropped, and others as not."""
        # Else one that failed before it was dropped would be shown, and raise alerts, for ever.
        for name in self.store.keys(COLLECTOR):
            state = read_state(self.store, name)
            if not state.damaged and state.dropped == (name in self.sources):
                save_state(self.store, msgspec.structs.replace(state, dropped=not state.dropped), AUTHOR)


def create_task(context: Context, clock: Clock) -> DeploymentMetricsCollectorTask:
    """Return the task that the settings describe. Raises SettingError."""
    settings = context.settings
    timing = Timing(
        settings["COLLECT_INTERVAL_SECONDS"],
        settings["COLLECT_TIMEOUT_SECONDS"],
        settings["COLLECT_LONGEST_DELAY_SECONDS"],
        settings["COLLECT_PERMANENT_DELAY_SECONDS"],
    )
    sources, documents, store = load_sources(context), context.documents, context.store
    return DeploymentMetricsCollectorTask(sources, documents, store, clock, timing, settings["SECRET_KEY"])
