"""What all sources share: the table, rendering, isolation; and the source ``server``."""

import asyncio
import logging
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import EntryPoint

import pytest
from asking import ask

from deploymetrics.accounts.service import Role
from deploymetrics.collector.isolation import MAX_ANSWER, Outcome
from deploymetrics.collector.signals import Stop
from deploymetrics.errors import SettingError
from deploymetrics.sources import Context, Findings, Round, Source, SourceError
from deploymetrics.sources.loading import load_sources
from deploymetrics.sources.server import ServerSource
from deploymetrics.sources.values import values_as_text
from deploymetrics.start_record import record_start
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
def context(app, services):
    store = services.store
    return Context(app.config, app.instance_path, store, services.documents, services.accounts)


def test_scalars_become_text():
    values = {"a": 5, "b": "x", "c": True, "d": 1.5, "e": {"k": 1, 2: "v"}, "f": ["x", 3], "g": {}}
    assert values_as_text(values) == (
        {"a": "5", "b": "x", "c": "True", "d": "1.5", "e": {"k": "1", "2": "v"}, "f": ["x", "3"], "g": {}},
        {},
    )


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        "text",
        {"a": None},
        {"a": object()},
        {"a": float("nan")},
        {"a": b"x"},
        {"a": {"b": {}}},
        {"a": [[]]},
        {5: "x"},
        {"": "x"},
        {"n" * 201: "x"},
        {"two\nlines": "x"},
        {"\x1b[2J": "x"},
        {"a": 10**5000},
        Findings({"a": 1}, {"\ud800": "x"}),
        Findings({"a": 1}, {"b": None}),
        Findings({"a": 1}, {5: "x"}),
        Findings({"a": 1}, None),
        Findings({"a": 1}, {}, None),
        Findings(None),
        {"a": "\ud800"},
        {"\ud800": "x"},
        {"a": {"\ud800": 1}},
    ],
)
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


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: time.sleep(60), "There was no answer within 0.2 seconds."),
        (lambda: endless(), "There was no answer within 0.2 seconds."),
        (lambda: asyncio.run(asyncio.sleep(60)), "There was no answer within 0.2 seconds."),
        (lambda: subprocess.run(["sleep", "60"]), "There was no answer within 0.2 seconds."),
        (raising(KeyboardInterrupt()), "There was no answer within 0.2 seconds."),
    ],
)
def test_a_source_that_takes_too_long_is_an_error(answer, error):
    assert ask("odd", Answering(answer), seconds=0.2) == Outcome(error=error)


NONSENSE = [None, float("nan"), b"x", {"b": {}}, [[]], 10**5000, "\ud800", "x" * MAX_ANSWER]


@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: type(value).__name__)
def test_a_value_that_is_nonsense_or_too_large_costs_that_metric_only(value):
    outcome = ask("odd", Answering({"a": 1, "b": value, "c": "x" * (MAX_ANSWER // 2)}))
    assert (outcome.error, list(outcome.values), list(outcome.failed)) == ("", ["a", "c"], ["b"])


def endless():
    while True:
        with suppress(Exception):
            sum(range(1000))


def test_nothing_interrupts_what_comes_after_a_source():
    stop = Stop()
    ask("odd", Answering({"a": 1}), seconds=0.2, stop=stop)
    time.sleep(0.3)
    stop.interrupt()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_stop_ends_a_source_that_hangs_and_it_counts_as_not_asked():
    stop = Stop()
    assert ask("odd", Answering(lambda: stop.set() or time.sleep(60)), stop=stop) is None


def test_a_source_is_not_asked_after_stop():
    stop = Stop()
    stop.set()
    assert ask("odd", Answering(raising(AssertionError())), stop=stop) is None


def test_what_a_source_prints_is_no_part_of_the_output(capsys):
    ask("odd", Answering(lambda: print("noise") or {"a": 1}))
    assert capsys.readouterr() == ("", "noise\n")


def test_a_failure_comes_with_what_was_found_before():
    error = SourceError("Down.", permanent=True, findings=Findings({"a": 1}, {"b": "No."}, "", {"a": 5, "c": 6}))
    outcome = Outcome({"a": "1"}, {"b": "No."}, "", {"a": 5.0, "c": 6.0}, "Down.", True)
    assert ask("odd", Answering(raising(error))) == outcome


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ({}, True),
        ({"a": 1000.0}, False),
        ({"a": 703.0}, False),
        ({"a": 700.0}, True),
        ({"a": 2000.0}, True),
    ],
)
def test_a_metric_is_due_after_its_time(asked, due):
    assert Round(1000.0, 60, 0, asked).is_due("a", 300) is due
    assert Round(1000.0, 60, 0, asked, {"a": "No."}).is_due("a", 300)


def test_third_parties_come_after_our_own_and_by_name(context):
    point = f"{__name__}:Answering"
    others = [EntryPoint(name, point, "deploymetrics.sources") for name in ("zebra", "acme")]
    assert list(load_sources(context, others=others)) == ["server", "acme", "zebra"]


class Exiting(Source):
    """Ends the program of who asks it."""

    is_wanted = sys.exit


class Unmakable(Source):
    """Fails as soon as it is made."""

    def __init__(self, context):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [
        "no.such.module:Source",
        f"{__name__}:NoSuchSource",
        f"{__name__}:Unmakable",
        f"{__name__}:Exiting",
    ],
)
def test_a_source_that_cannot_be_loaded_fails_and_leaves_the_others_alone(context, value):
    found = load_sources(context, others=[EntryPoint("acme", value, "deploymetrics.sources")])
    (_, server), (name, broken) = found.items()
    assert name == "acme" and isinstance(server, ServerSource)
    outcome = ask(name, broken)
    assert outcome.permanent and outcome.error.startswith(f"The source cannot be loaded from {value}: ")
    assert broken.configuration() != Source(context).configuration()  # so it is asked at once when it can be loaded


def test_two_sources_with_one_name_are_refused(context):
    with pytest.raises(SettingError, match="two sources named server"):
        load_sources(context, others=[EntryPoint("server", f"{__name__}:Answering", "deploymetrics.sources")])


def test_bigfix_is_asked_only_where_a_server_is_set(context):
    assert list(load_sources(context, others=[])) == ["server"]
    with_server = context._replace(settings={**context.settings, "BIGFIX_SERVER": "https://bigfix.example"})
    assert list(load_sources(with_server, others=[])) == ["server", "bigfix"]


def test_facts_of_an_empty_server(context):
    facts = {"number_of_tags": 0, "number_of_versions": 0, "bytes_stored": 0, "accounts_by_role": {}}
    assert ServerSource(context).collect() == facts | {"server_version": VERSION}


def test_facts_of_a_server(context, services, clock):
    record_start(context.store, clock)
    services.documents.save("b", b"[1]", "alice")
    clock.forward(minutes=1)
    services.documents.save("a", b"[1]", "alice")
    services.documents.save("a", b"[22]", "alice")
    services.accounts.add("alice", Role.MASTER_OPERATOR, "long enough")
    before = ServerSource(context).collect()
    clock.forward(hours=1)
    services.documents.save_platform(b"[{}]", "collector")
    assert (
        ServerSource(context).collect()
        == before
        == {
            "number_of_tags": 2,
            "number_of_versions": 3,
            "bytes_stored": sum(len(services.documents.get(tag).value) for tag in "ab"),
            "accounts_by_role": {"master-operator": 1},
            "last_change": services.documents.get("a").changed_at,
            "last_changed_tag": "a",
            "server_version": VERSION,
            "server_started": "2018-01-12T12:00:03.123456Z",
        }
    )
