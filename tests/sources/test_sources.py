"""What all sources share: the table, rendering, isolation; and the source ``server``."""

import logging
import os
import signal
import sys
import time
from importlib.metadata import EntryPoint
from multiprocessing.connection import wait

import pytest

from deploymetrics.accounts.service import Role
from deploymetrics.collector.isolation import MAX_ANSWER, Running, ask
from deploymetrics.collector.process import Stop
from deploymetrics.errors import SettingError
from deploymetrics.sources import Context, Findings, Source, SourceError, load_sources, rendered
from deploymetrics.sources.server import ServerSource, record_start
from deploymetrics.version import VERSION


class Answering(Source):
    """Answers with what it was made with: a function is called."""

    def __init__(self, answer):
        self.answer = answer

    def collect(self):
        return self.answer() if callable(self.answer) else self.answer


def raising(error):
    def answer():
        raise error

    return answer


@pytest.fixture
def stop():
    made = Stop()
    yield made
    made.close()


@pytest.fixture
def context(app, services):
    store = services.service.store
    return Context(app.config, app.instance_path, store, services.service, services.accounts)


def test_scalars_become_text():
    values = {"a": 5, "b": "x", "c": True, "d": 1.5, "e": {"k": 1, 2: "v"}, "f": ["x", 3], "g": {}}
    assert rendered(values) == {
        "a": "5", "b": "x", "c": "True", "d": "1.5", "e": {"k": "1", "2": "v"}, "f": ["x", "3"], "g": {}
    }


@pytest.mark.parametrize("values", [
    None, [], "text", {"a": None}, {"a": object()}, {"a": float("nan")}, {"a": b"x"}, {"a": {"b": {}}}, {"a": [[]]},
    {5: "x"}, {"": "x"}, {"n" * 201: "x"}, {"two\nlines": "x"}, {"\x1b[2J": "x"}, {"a": 10**5000},
    Findings({"a": 1}, {"\ud800": "x"}), Findings({"a": 1}, {"b": None}), Findings({"a": 1}, {5: "x"}),
    Findings({"a": 1}, None), Findings({"a": 1}, {}, None), Findings(None),
    {"a": "\ud800"}, {"\ud800": "x"}, {"a": {"\ud800": 1}},
])
def test_nonsense_is_an_error(values):
    outcome = ask("odd", Answering(values))
    assert outcome.error and not outcome.values


def test_failed_metrics_and_a_warning_come_along():
    outcome = ask("odd", Answering(Findings({"a": 1}, {"b": "two\nlines"}, "beware")))
    assert (outcome.values, outcome.failed, outcome.warning) == ({"a": "1"}, {"b": "two lines"}, "beware")


@pytest.mark.parametrize("permanent", [True, False])
def test_a_source_says_whether_its_error_is_permanent(permanent):
    outcome = ask("odd", Answering(raising(SourceError("No.", permanent=permanent))))
    assert (outcome.error, outcome.permanent) == ("No.", permanent)


def test_an_unforeseen_error_shows_its_type_and_not_its_message(caplog):
    with caplog.at_level(logging.ERROR):
        outcome = ask("odd", Answering(raising(ValueError("password=hunter2"))))
    assert outcome.error == "The source failed with ValueError; the log says where."
    assert "test_sources.py" in caplog.text and "hunter2" not in caplog.text


def test_a_source_that_ends_its_program_fails():
    assert ask("odd", Answering(sys.exit)).error == "The source failed with SystemExit; the log says where."


def forks_and(then):
    """An answer whose process leaves a child behind, which holds the pipe to the test as long as it lives."""

    def answer():
        if os.fork() == 0:
            time.sleep(60)
        return then()

    return answer


@pytest.mark.parametrize("then", [lambda: {"a": 1}, lambda: time.sleep(60), lambda: os._exit(0)])
def test_what_a_source_started_ends_with_it(stop, then):
    read, write = os.pipe()
    running = Running("odd", Answering(forks_and(then)), 1)
    os.close(write)
    running.outcome(stop)
    assert wait([read], 20)
    os.close(read)


def test_a_source_runs_in_a_process_of_its_own(stop):
    outcome = Running("odd", Answering(lambda: {"pid": os.getpid()}), 30).outcome(stop)
    assert outcome.values["pid"] != str(os.getpid())


@pytest.mark.parametrize(("answer", "error"), [
    (lambda: time.sleep(60), "There was no answer within 1 seconds."),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "The process of the source ended without an answer."),
    (lambda: os._exit(0), "The process of the source ended without an answer."),
    (lambda: {"a": "x" * MAX_ANSWER}, f"The answer is larger than {MAX_ANSWER} bytes."),
])
def test_what_goes_wrong_in_the_process_is_an_error(stop, answer, error):
    running = Running("odd", Answering(answer), 1)
    assert running.outcome(stop).error == error
    assert running._process.exitcode is not None


def test_stop_ends_a_source_that_hangs(stop):
    running = Running("odd", Answering(lambda: time.sleep(60)), 60)
    stop.set()
    assert running.outcome(stop) is None
    assert running._process.exitcode == -signal.SIGKILL


def test_a_source_whose_collector_is_gone_ends_by_itself():
    running = Running("odd", Answering(lambda: time.sleep(60)), 1)
    assert wait([running._process.sentinel], 20)
    running.end()
    assert running._process.exitcode == -signal.SIGALRM


def test_descriptors_that_it_must_not_keep_are_closed(stop):
    read, write = os.pipe()
    running = Running("odd", Answering(lambda: time.sleep(60)), 60, [write])
    os.close(write)
    assert wait([read], 20)  # the other end is closed everywhere
    running.end()
    os.close(read)


def test_third_parties_come_after_our_own_and_by_name(context):
    point = f"{__name__}:Answering"
    others = [EntryPoint(name, point, "deploymetrics.sources") for name in ("zebra", "acme")]
    assert [name for name, _ in load_sources(context, others=others)] == ["server", "acme", "zebra"]


class Exiting(Source):
    """Ends the program of who asks it."""

    is_wanted = sys.exit


class Unmakable(Source):
    """Fails as soon as it is made."""

    def __init__(self, context):
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [
    "no.such.module:Source", f"{__name__}:NoSuchSource", f"{__name__}:Unmakable", f"{__name__}:Exiting",
])
def test_a_source_that_cannot_be_loaded_fails_and_leaves_the_others_alone(context, value):
    (_, server), (name, broken) = load_sources(context, others=[EntryPoint("acme", value, "deploymetrics.sources")])
    assert name == "acme" and isinstance(server, ServerSource)
    outcome = ask(name, broken)
    assert outcome.permanent and outcome.error.startswith(f"The source cannot be loaded from {value}: ")
    assert broken.configuration() != Source(context).configuration()  # so it is asked at once when it can be loaded


def test_two_sources_with_one_name_are_refused(context):
    with pytest.raises(SettingError, match="two sources named server"):
        load_sources(context, others=[EntryPoint("server", f"{__name__}:Answering", "deploymetrics.sources")])


def test_bigfix_is_asked_only_where_a_server_is_set(context):
    assert [name for name, _ in load_sources(context, others=[])] == ["server"]
    with_server = context._replace(settings={**context.settings, "BIGFIX_SERVER": "https://bigfix.example"})
    assert [name for name, _ in load_sources(with_server, others=[])] == ["server", "bigfix"]


def test_facts_of_an_empty_server(context):
    facts = {"number_of_tags": 0, "number_of_versions": 0, "bytes_stored": 0, "accounts_by_role": {}}
    assert ServerSource(context).collect() == facts | {"server_version": VERSION}


def test_facts_of_a_server(context, services, clock):
    record_start(context.store, clock)
    services.service.save("b", b"[1]", "alice")
    clock.forward(minutes=1)
    services.service.save("a", b"[1]", "alice")
    services.service.save("a", b"[22]", "alice")
    services.accounts.add("alice", Role.MASTER_OPERATOR, "long enough")
    before = ServerSource(context).collect()
    clock.forward(hours=1)
    services.service.save_platform(b"[{}]", "collector")
    assert ServerSource(context).collect() == before == {
        "number_of_tags": 2,
        "number_of_versions": 3,
        "bytes_stored": sum(len(services.service.get(tag).value) for tag in "ab"),
        "accounts_by_role": {"master-operator": 1},
        "last_change": services.service.get("a").changed_at,
        "last_changed_tag": "a",
        "server_version": VERSION,
        "server_started": "2018-01-12T12:00:03.123456Z",
    }
