"""DeploymentMetricsCollectorTask: what it keeps, what it publishes, and when it asks again."""

import json
import os
import shutil
import sys
from contextlib import suppress

import msgspec
import pytest
from storekit import newest_file

from deploymetrics.collector.signals import Stop
from deploymetrics.collector.states import COLLECTOR, SourceState, read_states
from deploymetrics.collector.task import DeploymentMetricsCollectorTask, Timing
from deploymetrics.errors import DamagedItemError, NotFound, StorageFullError
from deploymetrics.sources import Findings, Source, SourceError

TIMING = Timing(interval=300, timeout=30, longest_delay=3600, permanent_delay=86400)


class Switched(Source):
    """Answers with its ``answer``, or raises it."""

    def __init__(self, answer):
        self.answer = answer
        self.version = 1

    def configuration(self):
        return {"version": self.version}

    def collect(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Deployment:
    """Two sources, and the task over them."""

    def __init__(self, services, clock):
        self.documents = services.documents
        self.store = services.store
        self.clock = clock
        self.one = Switched({"number_of_endpoints": 5})
        self.two = Switched({"number_of_tags": 1})
        self.stop = Stop()
        self.start()

    def start(self, **sources):
        """Begin anew, as a process does that starts."""
        sources = sources or {"one": self.one, "two": self.two}
        self.task = DeploymentMetricsCollectorTask(
            sources, self.documents, self.store, self.clock, TIMING, "the secret key"
        )

    def run(self, **how):
        return self.task.run(self.task.due(**how), self.stop)

    def metrics(self):
        return json.loads(bytes(self.documents.get("platform").record.metrics))

    def version(self):
        return self.documents.get("platform").version

    def state(self, name="one"):
        return self.store.read(COLLECTOR, name).record


@pytest.fixture
def deployment(services, clock):
    return Deployment(services, clock)


def test_the_document_is_an_array_with_one_object_of_texts(deployment):
    deployment.run()
    assert deployment.metrics() == [{"number_of_endpoints": "5", "number_of_tags": "1"}]
    assert deployment.documents.get("platform").changed_by == "collector"


def test_a_run_without_news_writes_no_version(deployment):
    deployment.run()
    deployment.clock.forward(seconds=300)
    deployment.run()
    assert deployment.version() == 1
    assert deployment.state().lastSuccess == "2018-01-12T12:05:03.123456Z"
    deployment.one.answer = {"number_of_endpoints": 6}
    deployment.clock.forward(seconds=300)
    deployment.run()
    assert deployment.version() == 2


def test_a_document_without_news_is_written_again_after_a_day(deployment):
    deployment.run()
    deployment.clock.forward(hours=23, minutes=59)
    deployment.run()
    assert deployment.version() == 1
    deployment.clock.forward(minutes=6)
    deployment.run()
    assert deployment.version() == 2


def test_a_document_of_a_clock_that_was_ahead_is_written_again_at_once(deployment):
    deployment.clock.forward(days=1000)
    deployment.run()
    deployment.clock.forward(days=-1000)
    deployment.run()
    assert deployment.version() == 2


class Watching(Source):
    """Answers with what is stored of the source ``one`` by then."""

    def __init__(self, deployment):
        self.deployment = deployment

    def collect(self):
        return {"seen": self.deployment.state("one").values["number_of_endpoints"]}


def test_what_a_source_says_is_stored_before_the_next_one_is_asked(deployment):
    deployment.start(one=deployment.one, two=Watching(deployment))
    deployment.run()
    assert deployment.metrics() == [{"number_of_endpoints": "5", "seen": "5"}]
    assert deployment.version() == 1


@pytest.mark.parametrize("answer", [SourceError("Down."), {"number_of_endpoints": None}, ValueError("odd"), "nonsense"])
def test_a_failing_source_keeps_its_values_and_leaves_the_other_its_own(deployment, answer):
    deployment.run()
    deployment.one.answer = answer
    deployment.two.answer = {"number_of_tags": 2}
    deployment.clock.forward(seconds=300)
    deployment.run()
    assert deployment.metrics() == [{"number_of_endpoints": "5", "number_of_tags": "2"}]


def test_a_source_is_not_shown_while_no_setting_asks_for_it(deployment):
    """Else the last failure of one that nobody asks any more would raise alerts for ever."""
    deployment.one.answer = SourceError("Refused.", permanent=True)
    deployment.run()
    deployment.start(two=deployment.two)
    deployment.run(first=True)
    assert [state.name for state in read_states(deployment.store)] == ["two"]
    deployment.start()
    deployment.run(first=True)
    shown = read_states(deployment.store)
    assert [(state.name, state.permanent, state.failures) for state in shown] == [("one", True, 1), ("two", False, 0)]


def test_age_and_reason_of_a_failure_are_stored(deployment):
    deployment.run()
    deployment.one.answer = SourceError("Down.")
    deployment.clock.forward(seconds=300)
    deployment.run()
    state = deployment.state()
    assert (state.lastSuccess, state.lastFailure) == ("2018-01-12T12:00:03.123456Z", "2018-01-12T12:05:03.123456Z")
    assert (state.reason, state.failures, state.is_fresh) == ("Down.", 1, False)
    deployment.one.answer = {"number_of_endpoints": 6}
    deployment.clock.forward(seconds=300)
    deployment.run()
    state = deployment.state()
    assert (state.reason, state.failures, state.is_fresh) == ("Down.", 0, True)
    assert deployment.metrics()[0]["number_of_endpoints"] == "6"


def test_a_metric_that_fails_keeps_its_value_and_its_place(deployment):
    deployment.one.answer = {"a": 1, "b": 1}
    deployment.run()
    deployment.one.answer = Findings({"b": 2, "c": 2}, {"a": "No."})
    deployment.run(retry=True)
    assert list(deployment.metrics()[0].items())[:3] == [("a", "1"), ("b", "2"), ("c", "2")]
    assert deployment.state().failed == {"a": "No."}
    assert not deployment.state().is_fresh


def test_a_metric_that_is_gone_is_dropped(deployment):
    deployment.one.answer = {"a": 1, "b": 1}
    deployment.run()
    deployment.one.answer = {"b": 1}
    deployment.run(retry=True)
    assert "a" not in deployment.metrics()[0]


def test_a_source_that_is_gone_is_dropped(deployment):
    deployment.run()
    deployment.start(two=deployment.two)
    deployment.run(retry=True)
    assert deployment.metrics() == [{"number_of_tags": "1"}]


def test_of_two_sources_with_the_same_metric_the_first_wins(deployment, caplog):
    deployment.two.answer = {"number_of_endpoints": 7}
    deployment.run()
    assert deployment.metrics() == [{"number_of_endpoints": "5"}]
    assert "another source has the metric number_of_endpoints" in caplog.text


def test_nothing_is_written_before_anything_was_found(deployment):
    deployment.one.answer = deployment.two.answer = SourceError("Down.")
    deployment.run()
    with pytest.raises(NotFound):
        deployment.documents.get("platform")


def attempts(deployment, hours):
    """Minutes after which the source one was asked, looking every minute, over a number of hours."""
    asked = []
    for minute in range(hours * 60 + 1):
        if "one" in deployment.task.due():
            deployment.task.run(["one"], deployment.stop)
            asked.append(minute)
        deployment.clock.forward(minutes=1)
    return asked


def test_attempts_after_failures_are_farther_and_farther_apart(deployment):
    deployment.one.answer = SourceError("Down.")
    assert attempts(deployment, 4) == [0, 5, 15, 35, 75, 135, 195]


def test_a_permanent_error_is_not_tried_again_for_long(deployment):
    deployment.one.answer = SourceError("Wrong password.", permanent=True)
    assert attempts(deployment, 25) == [0, 1440]


def test_a_permanent_error_outlives_a_restart_and_ends_with_its_configuration(deployment):
    deployment.one.answer = SourceError("Wrong password.", permanent=True)
    deployment.run()
    deployment.start()
    assert deployment.task.due(first=True) == ["two"]
    deployment.one.version = 2
    assert deployment.task.due() == ["one"]


class Corrected(Source):
    """Is refused, and somebody mends the file with its password while it asks."""

    def __init__(self, path):
        self.path = path

    def configuration(self):
        return self.path.read_text()

    def collect(self):
        self.path.write_text("the right one")
        raise SourceError("Wrong password.", permanent=True)


def test_a_password_that_is_mended_during_a_run_is_tried(deployment, tmp_path):
    path = tmp_path / "password"
    path.write_text("the wrong one")
    deployment.start(one=Corrected(path))
    deployment.run()
    assert deployment.task.due() == ["one"]


class Rows(Source):
    """Has three metrics, asks one in each round, and asks each again after an hour."""

    def __init__(self):
        self.rounds = []
        self.error = None

    def collect_round(self, current):
        due = [name for name in ("a", "b", "c") if current.is_due(name, 3600)][:1]
        self.rounds.append(due)
        asked = {name: current.now if name in due else current.asked.get(name, 0.0) for name in ("a", "b", "c")}
        findings = Findings({name: len(self.rounds) for name in due}, {}, "", asked)
        if self.error:
            raise SourceError(self.error, findings=findings)
        return findings


def rounds(deployment, source, number, **how):
    for _ in range(number):
        deployment.task.run(["one"], deployment.stop, **how)
        deployment.clock.forward(seconds=300)
    return source.rounds[-number:]


def test_metrics_that_are_not_asked_keep_their_values_and_are_asked_in_time(deployment):
    source = Rows()
    deployment.start(one=source)
    assert rounds(deployment, source, 4) == [["a"], ["b"], ["c"], []]
    assert deployment.metrics() == [{"a": "1", "b": "2", "c": "3"}]
    assert rounds(deployment, source, 9)[-2:] == [[], ["a"]]
    assert deployment.metrics() == [{"a": "13", "b": "2", "c": "3"}]
    assert rounds(deployment, source, 1, everything=True) == [["a"]]


def test_a_changed_configuration_asks_every_metric_and_drops_no_value(deployment, monkeypatch):
    source = Rows()
    deployment.start(one=source)
    rounds(deployment, source, 3)
    monkeypatch.setattr(source, "configuration", lambda: "another")
    assert rounds(deployment, source, 1) == [["a"]]
    assert deployment.metrics() == [{"a": "4", "b": "2", "c": "3"}]


def test_a_failure_stores_what_was_found_before(deployment):
    source = Rows()
    deployment.start(one=source)
    rounds(deployment, source, 1)
    source.error = "Down."
    assert rounds(deployment, source, 2) == [["b"], ["c"]]
    assert deployment.metrics() == [{"a": "1", "b": "2", "c": "3"}]
    assert (deployment.state().reason, deployment.state().failures) == ("Down.", 2)


def test_a_metric_that_fails_stays_named_until_it_is_asked_again(deployment):
    answers = [
        Findings({"a": 1}, {"b": "No."}, "", {"a": 1.0, "b": 1.0}),
        Findings({"a": 2}, {}, "", {"a": 2.0, "b": 1.0}),
        Findings({"b": 3}, {}, "", {"a": 2.0, "b": 3.0}),
    ]
    named = []
    for deployment.one.answer in answers:
        deployment.run(retry=True)
        named.append(deployment.state().failed)
    assert named == [{"b": "No."}, {"b": "No."}, {}]


def test_a_source_in_which_the_process_ended_has_failed(deployment):
    deployment.run()
    deployment.start()
    deployment.task.note_crash("one")
    assert deployment.task.due(first=True) == ["two"]
    assert deployment.state().reason == "The collector ended while it asked this source."
    assert deployment.state().values == {"number_of_endpoints": "5"}
    deployment.one.version = 2
    assert deployment.task.due() == ["one"]


def test_the_source_that_is_asked_is_noted(deployment):
    noted = []
    deployment.task.run(["one", "two"], deployment.stop, noted.append)
    assert noted == ["one", "", "two", ""]


def test_a_crash_at_nothing_or_a_source_that_is_gone(deployment):
    for name in ("", "gone"):
        deployment.task.note_crash(name)
    assert read_states(deployment.store) == []


def test_retry_asks_whatever_happened(deployment):
    deployment.one.answer = SourceError("Wrong password.", permanent=True)
    deployment.run()
    assert deployment.task.due(retry=True) == ["one", "two"]


def test_the_first_run_of_a_process_asks_what_is_not_due(deployment):
    deployment.run()
    assert deployment.task.due() == []
    assert deployment.task.due(first=True) == ["one", "two"]


def test_a_clock_that_is_put_back_does_not_stop_the_collector(deployment):
    deployment.run()
    deployment.clock.forward(days=-30)
    assert deployment.task.due() == ["one", "two"]


def test_the_delay_is_that_of_the_next_source(deployment):
    deployment.run()
    assert deployment.task.delay() == 300
    deployment.clock.forward(seconds=100)
    assert deployment.task.delay() == 200
    deployment.clock.forward(seconds=500)
    assert deployment.task.delay() == 0


def test_a_configuration_is_stored_as_a_keyed_hash_only(deployment):
    deployment.run()
    first = deployment.state().configuration
    assert len(first) == 64
    deployment.task._key = b"another key"
    assert deployment.task._digest("one") != first


def test_a_source_without_a_usable_configuration_is_asked_all_the_same(deployment):
    deployment.one.version = object()
    deployment.run()
    assert deployment.metrics()[0]["number_of_endpoints"] == "5"


def test_retry_soon_makes_failed_sources_due_for_another_process(deployment):
    deployment.one.answer = SourceError("Wrong password.", permanent=True)
    deployment.run()
    assert deployment.task.due() == []
    deployment.task.retry_soon()
    assert deployment.task.due() == ["one"]


def test_stop_leaves_out_those_that_have_not_answered(deployment):
    deployment.stop.set()
    deployment.run()
    with pytest.raises(NotFound):
        deployment.documents.get("platform")
    assert read_states(deployment.store) == []


def test_what_a_full_disk_refuses_is_remembered(deployment, monkeypatch):
    def full(*args):
        raise StorageFullError()

    deployment.one.answer = SourceError("Wrong password.", permanent=True)
    with monkeypatch.context() as patched:
        patched.setattr(deployment.store, "write", full)
        with pytest.raises(StorageFullError):
            deployment.run()
    assert deployment.task.due() == []
    deployment.clock.forward(seconds=300)
    deployment.run()
    assert deployment.state().permanent


def damage(deployment, kind, name):
    """Damage the file of an item; its path."""
    path = newest_file(deployment.store.root, kind, name)
    path.write_text("{\n")
    return path


@pytest.fixture
def damaged(deployment):
    """After a good run the record of the source one is damaged, and both sources have other answers."""
    deployment.run()
    path = damage(deployment, "collector", "one")
    deployment.one.answer = {"number_of_endpoints": 6}
    deployment.two.answer = {"number_of_tags": 2, "number_of_versions": 3}
    yield path
    with open(path) as file:
        assert file.read() == "{\n"


def test_a_damaged_record_is_named_and_stops_its_source_only(deployment, damaged, caplog):
    assert [state.name for state in deployment.run(first=True)] == ["two"]
    assert "source one: The stored item 'one' of collector is damaged" in caplog.text
    assert deployment.metrics() == [{"number_of_endpoints": "5", "number_of_tags": "2", "number_of_versions": "3"}]


def test_a_damaged_record_is_never_asked_for_nor_waited_for(deployment, damaged):
    deployment.run(retry=True)
    deployment.task.retry_soon()
    assert deployment.task.due(retry=True) == ["two"]
    assert deployment.task.delay() == 300
    deployment.clock.forward(days=30)
    assert deployment.task.due() == ["two"]
    first, second = read_states(deployment.store)
    assert (first.damaged, first.is_fresh, second.is_fresh) == (True, False, True)


def test_a_record_that_is_damaged_during_a_run_is_left_alone(deployment, damaged):
    deployment.task.run(["one", "two"], deployment.stop)
    assert deployment.metrics()[0] == {"number_of_endpoints": "5", "number_of_tags": "2", "number_of_versions": "3"}


def test_a_damaged_record_that_is_removed_during_a_run_is_written_anew(deployment, monkeypatch):
    deployment.run()
    path = damage(deployment, "collector", "one")
    deployment.one.answer = {"number_of_endpoints": 6}
    write = deployment.store.write

    def removed_before(*arguments, **named):
        with suppress(FileNotFoundError):
            os.remove(path)
        return write(*arguments, **named)

    monkeypatch.setattr(deployment.store, "write", removed_before)
    deployment.task.run(["one"], deployment.stop)
    assert (deployment.state().damaged, deployment.state().values) == (False, {"number_of_endpoints": "6"})


def test_a_document_of_another_shape_is_replaced_all_the_same(deployment, damaged):
    deployment.documents.save_platform(b'"imported"', "alice")
    deployment.run(first=True)
    assert deployment.metrics() == [{"number_of_tags": "2", "number_of_versions": "3"}]


def test_a_damaged_document_is_not_overwritten(deployment):
    deployment.run()
    path = damage(deployment, "deploymentmetrics", "platform")
    deployment.one.answer = {"number_of_endpoints": 6}
    with pytest.raises(DamagedItemError):
        deployment.run(first=True)
    with open(path) as file:
        assert file.read() == "{\n"
    assert deployment.state().values == {"number_of_endpoints": "6"}


def test_a_document_that_is_gone_is_written_again(deployment):
    deployment.run()
    shutil.rmtree(os.path.join(deployment.store.root, "data", "deploymentmetrics", "platform"))
    deployment.run(first=True)
    assert deployment.metrics() == [{"number_of_endpoints": "5", "number_of_tags": "1"}]


def test_a_source_that_nobody_asks_is_overdue(deployment):
    deployment.run()
    assert not deployment.task.is_overdue(deployment.state())
    deployment.clock.forward(seconds=TIMING.interval + TIMING.interval + 2 * TIMING.timeout + 1)
    assert deployment.task.is_overdue(deployment.state())


def test_a_configuration_that_ends_the_program_does_not(deployment, monkeypatch):
    monkeypatch.setattr(deployment.one, "configuration", sys.exit)
    deployment.run()
    assert deployment.metrics()[0]["number_of_endpoints"] == "5"


def test_states_are_read_by_name(deployment):
    deployment.run()
    assert [state.name for state in read_states(deployment.store)] == ["one", "two"]


def test_a_state_with_nothing_in_it_is_small():
    assert msgspec.json.encode(SourceState("one")) == b'{"name":"one"}'
