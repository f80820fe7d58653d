"""DeploymentMetricsCollectorTask: asks the sources, keeps what each said last, and has the document written.

What a source found stays until it finds something else: a failure is noted beside it and changes nothing else. The
document is composed of what the sources have, so no run can make it worse. No Flask in here.
"""

import hashlib
import hmac
import logging
from contextlib import suppress

import msgspec

from ..clock import as_precise
from ..errors import DamagedItem, StorageError
from ..sources import Context, load_sources
from ..storage import Collection
from .document import BY, ordered, write_platform
from .isolation import Running

log = logging.getLogger(__name__)


class SourceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a source: times are precise texts, or empty where it never happened.

    ``values`` are its last good ones; ``failed`` has the reason for each metric that the last success lacked;
    ``reason`` is that of the last failure; ``failures`` counts those since the last success; ``nextAttempt`` is in
    seconds since 1970; ``configuration`` is a keyed hash. ``damaged`` is never stored: it says that what was stored
    cannot be read.
    """

    name: str
    configuration: str = ""
    lastSuccess: str = ""
    lastFailure: str = ""
    reason: str = ""
    permanent: bool = False
    failures: int = 0
    nextAttempt: float = 0.0
    warning: str = ""
    failed: dict[str, str] = {}
    values: dict[str, str | list[str] | dict[str, str]] = {}
    damaged: bool = False

    def key(self):
        return self.name

    @property
    def is_fresh(self):
        """Whether the last attempt succeeded, for every metric."""
        return bool(self.lastSuccess) and not self.failures and not self.failed


COLLECTOR = Collection("collector", SourceState)


def read_states(store):
    """The SourceState of every source that was ever asked, ordered by name."""
    return [read_state(store, name) for name in store.keys(COLLECTOR)]


def read_state(store, name):
    """The SourceState of one source, also of one that was never asked, or of which what is stored is damaged."""
    try:
        item = store.read(COLLECTOR, name)
    except DamagedItem as error:
        return SourceState(name, reason=error.detail, permanent=True, failures=1, damaged=True)
    return item.record if item else SourceState(name)


class Timing(msgspec.Struct, frozen=True):
    """Seconds: between runs, for one source, between attempts after failures, and after a permanent one."""

    interval: int
    timeout: int
    longest_delay: int
    permanent_delay: int


class DeploymentMetricsCollectorTask:
    """The sources of a deployment, when each is due, and what it said."""

    def __init__(self, sources, service, store, clock, timing, key):
        self.sources = dict(sources)
        self.service = service
        self.store = store
        self.clock = clock
        self.timing = timing
        self._key = key.encode()
        self._unsaved = {}

    def due(self, *, first=False, retry=False):
        """Names of the sources to be asked now: ``first`` also those not due that did not fail, ``retry`` all.

        One whose SourceState is damaged is never asked: whether its password was refused before is not known, and
        what it says could not be noted.
        """
        states = self.states()
        for state in states:
            if state.damaged:
                log.error("source %s: %s", state.name, state.reason)
        return [state.name for state in states if not state.damaged and (retry or self._is_due(state, first))]

    def states(self):
        """The SourceState of each source, as they come in the document."""
        return [self._state(name) for name in self.sources]

    def run(self, names, stop, close=()):
        """Ask these sources at the same time, store what they say and write the document; their SourceStates.

        The document is written once, when all have answered: one version, whatever was found. When ``stop`` says so,
        those that have not answered are left out and count as not asked. ``close`` are descriptors that no source's
        process must keep. Raises StorageError.
        """
        # Before they are asked: a password that is changed meanwhile was not the one that is refused.
        digests = {name: self._digest(name) for name in names}
        running = [Running(name, self.sources[name], self.timing.timeout, close) for name in names]
        states = []
        try:
            for source in running:
                outcome = source.outcome(stop)
                if outcome is None:
                    break
                states.append(self._settle(source.name, outcome, digests[source.name]))
                with suppress(StorageError):  # it is tried again below, and then it is an error
                    self._save()
        finally:
            for source in running:
                source.end()
        self._save()
        write_platform(self.service, self.clock, self.states())
        return states

    def retry_soon(self):
        """Make every source that waits after a failure due, for the process that collects."""

        def change(current, at):
            return current and msgspec.json.encode(msgspec.structs.replace(current.record, nextAttempt=0.0))

        for state in self.states():
            if state.failures and not state.damaged:
                self.store.write(COLLECTOR, state.name, BY, change)

    def delay(self):
        """Seconds until the next source is due, at most the interval."""
        now = self.clock.timestamp()
        times = [state.nextAttempt - now for state in self.states() if not state.damaged]
        return max(0.0, min([*times, self.timing.interval]))

    def is_overdue(self, state):
        """Whether the source should have been asked long ago, so that no collector is at work, or it hangs."""
        late = self.clock.timestamp() - state.nextAttempt
        return bool(state.nextAttempt) and late > self.timing.interval + self.timing.timeout

    def _state(self, name):
        return self._unsaved.get(name) or read_state(self.store, name)

    def _is_due(self, state, first):
        if self._digest(state.name) != state.configuration or first and not state.failures:
            return True
        left = state.nextAttempt - self.clock.timestamp()
        # A time farther off than any delay was noted by a clock that has been put back since.
        return not 0 < left <= max(self.timing.interval, self.timing.longest_delay, self.timing.permanent_delay)

    def _digest(self, name):
        try:
            text = msgspec.json.encode(self.sources[name].configuration(), order="deterministic")
        except (Exception, SystemExit) as error:  # a third party's, which must not end the others
            log.error("source %s: its configuration cannot be had: %s", name, type(error).__name__)
            text = b""
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def _settle(self, name, outcome, digest):
        before = self._state(name)
        state = self._failure(before, outcome) if outcome.error else self._success(before, outcome)
        state = msgspec.structs.replace(state, configuration=digest, damaged=False)
        self._unsaved[name] = state
        return state

    def _save(self):
        # What a full disk refuses stays in memory: else its source would be asked at every round.
        for name, state in list(self._unsaved.items()):
            with suppress(DamagedItem):  # by now; the next run says so
                value = msgspec.json.encode(state)
                self.store.write(COLLECTOR, name, BY, lambda current, at: value)
            del self._unsaved[name]

    def _success(self, before, outcome):
        now = self.clock.now()
        if outcome.warning and outcome.warning != before.warning:
            log.warning("source %s: %s", before.name, outcome.warning)
        for metric in outcome.failed.keys() - before.failed.keys():
            log.warning("source %s: %s: %s", before.name, metric, outcome.failed[metric])
        return msgspec.structs.replace(
            before,
            lastSuccess=as_precise(now),
            failures=0,
            permanent=False,
            nextAttempt=now.timestamp() + self.timing.interval,
            warning=outcome.warning,
            failed=outcome.failed,
            values=_merged(before.values, outcome),
        )

    def _failure(self, before, outcome):
        now = self.clock.now()
        failures = before.failures + 1
        delay = self.timing.permanent_delay if outcome.permanent else self._backoff(failures)
        log.error("source %s: %s Next attempt in %d seconds.", before.name, outcome.error, delay)
        return msgspec.structs.replace(
            before,
            lastFailure=as_precise(now),
            reason=outcome.error,
            permanent=outcome.permanent,
            failures=failures,
            nextAttempt=now.timestamp() + delay,
        )

    def _backoff(self, failures):
        doubled = self.timing.interval * 2 ** min(failures - 1, 20)
        return max(self.timing.interval, min(doubled, self.timing.longest_delay))


def _merged(old, outcome):
    """The values found now, and the old ones of the metrics that failed, in the order that they had."""
    kept = {name: value for name, value in old.items() if name in outcome.failed}
    return ordered(old, {**kept, **outcome.values})


def create_task(settings, instance, store, service, accounts, clock):
    """The task that the settings describe; raises SettingError."""
    sources = load_sources(Context(settings, instance, store, service, accounts))
    timing = Timing(
        settings["COLLECT_INTERVAL_SECONDS"],
        settings["COLLECT_TIMEOUT_SECONDS"],
        settings["COLLECT_LONGEST_DELAY_SECONDS"],
        settings["COLLECT_PERMANENT_DELAY_SECONDS"],
    )
    return DeploymentMetricsCollectorTask(sources, service, store, clock, timing, settings["SECRET_KEY"])
