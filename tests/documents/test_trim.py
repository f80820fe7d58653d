"""Old versions go and copies are made right where nobody writes any more."""

import pytest
from storekit import open_files

from deploymetrics.collector.process import collect_forever
from deploymetrics.collector.signals import Stop
from deploymetrics.collector.task import DeploymentMetricsCollectorTask, Timing
from deploymetrics.documents.service import DOCUMENTS, Documents
from deploymetrics.errors import StorageError
from deploymetrics.sources import Source


def never():
    return False


def versions(store, tag):
    return [item.version for item in store.history(DOCUMENTS, tag)]


def test_lowered_limits_hold_for_what_nobody_writes(folder, clock):
    service = Documents(open_files(folder, clock))
    for number in range(100):
        service.save("custom", b"%d" % number, "app")
    lower = Documents(open_files(folder, clock, versions=8))
    assert lower.trim(never) > 0
    assert versions(lower.store, "custom")[:8] == list(range(100, 92, -1))
    assert len(versions(lower.store, "custom")) < 8 + 64 + 1
    assert lower.trim(never) == 0


def test_a_copy_that_a_crash_left_behind_is_made_right(folder, clock):
    service = Documents(open_files(folder, clock))
    item = service.save("custom", b"1", "app")
    copy = folder / "deploymentmetrics" / "custom.json"
    copy.write_bytes(b"half of")
    service.trim(never)
    assert copy.read_bytes() == item.value


def test_it_stops_when_it_is_told(folder, clock):
    service = Documents(open_files(folder, clock))
    service.save("custom", b"1", "app")
    (folder / "deploymentmetrics" / "custom.json").unlink()
    service.trim(lambda: True)
    assert not (folder / "deploymentmetrics" / "custom.json").exists()


def test_one_document_that_cannot_be_trimmed_keeps_no_other_from_it(folder, clock, monkeypatch, caplog):
    service = Documents(open_files(folder, clock))
    for tag in ("bad", "good"):
        service.save(tag, b"1", "app")
        (folder / "deploymentmetrics" / f"{tag}.json").unlink()
    trim = service.store.trim

    def failing(collection, key, now):
        if key == "bad":
            raise StorageError(log="no")
        return trim(collection, key, now)

    monkeypatch.setattr(service.store, "trim", failing)
    service.trim(never)
    assert (folder / "deploymentmetrics" / "good.json").exists()
    assert "no" in caplog.text


class Answering(Source):
    """Finds a number."""

    def __init__(self):
        pass

    def collect(self):
        return {"number": 1}


class StopAtSecondRound(Stop):
    """Lets the collector run one round, and what follows it."""

    rounds = 0

    def wait(self, seconds):
        self.rounds += seconds > 0
        self.is_set = self.rounds > 1
        return self.is_set


@pytest.fixture
def task(folder, clock):
    service = Documents(open_files(folder, clock, versions=8, hourly_days=60, daily_days=800))
    timing = Timing(interval=300, timeout=30, longest_delay=3600, permanent_delay=86400)
    return DeploymentMetricsCollectorTask({"one": Answering()}, service, service.store, clock, timing, "the secret key")


def test_a_collector_that_starts_under_a_clock_that_is_ahead_costs_no_history(task, clock):
    service = task.documents
    for number in range(100):
        clock.forward(hours=1)
        service.save("custom", b"%d" % number, "app")
    task.run(["one"], Stop())
    before = versions(service.store, "custom")
    clock.forward(days=3650)
    task.run(["one"], Stop())
    clock.forward(days=-3650)
    collect_forever(task, service.store.lease("collector"), StopAtSecondRound())
    assert versions(service.store, "custom") == before
    clock.forward(days=3650)
    collect_forever(task, service.store.lease("collector"), StopAtSecondRound())
    assert versions(service.store, "custom") == before
    collect_forever(task, service.store.lease("collector"), StopAtSecondRound())
    assert len(versions(service.store, "custom")) < len(before)


def failing(*arguments):
    raise StorageError(log="gone for a moment")


def test_what_keeps_a_collector_from_beginning_is_said_once(task, monkeypatch, caplog):
    """And once more where it could have begun meanwhile, but for another one that works."""

    class StopLater(Stop):
        rounds = 0

        def wait(self, seconds):
            self.rounds += 1
            return self.rounds > 20

    lease = task.store.lease("collector")
    answers = iter([failing] * 3 + [lambda: False] * 3 + [failing] * 20)
    monkeypatch.setattr(lease, "acquire", lambda: next(answers)())
    collect_forever(task, lease, StopLater())
    assert caplog.text.count("gone for a moment") == 2


def test_a_storage_that_fails_between_two_rounds_ends_no_collector(task, monkeypatch, caplog):
    monkeypatch.setattr(task.store, "keys", failing)
    lease = task.store.lease("collector")
    collect_forever(task, lease, StopAtSecondRound())
    assert "gone for a moment" in caplog.text and not lease.is_held()


def test_a_collector_that_cannot_read_what_sources_said_lets_another_one_begin(task, monkeypatch, caplog):
    held = []
    lease = task.store.lease("collector")

    class Looking(StopAtSecondRound):
        def wait(self, seconds):
            held.append(lease.is_held())
            return super().wait(seconds)

    monkeypatch.setattr(task, "states", failing)
    collect_forever(task, lease, Looking())
    assert "gone for a moment" in caplog.text and not any(held)


def test_a_collector_that_stands_by_reads_nothing(task, monkeypatch, caplog):
    monkeypatch.setattr(task, "states", failing)
    other = task.store.lease("collector")
    assert other.acquire()
    collect_forever(task, task.store.lease("collector"), StopAtSecondRound())
    other.release()
    assert caplog.text == ""
