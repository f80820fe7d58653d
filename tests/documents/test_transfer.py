"""Imports that are repeated, killed, or of what no export writes: wholly there or not, and a dry run says the same."""

import os
import shutil
import tracemalloc

import pytest
from conftest import HeldClock
from storekit import files_below, open_files

from deploymetrics.documents import transfer
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.documents.transfer import IMPORTED, REFUSED, THERE

AT = "2018-01-12T12:00:0%d.000000Z"


def line(version, tag="x", at=None, by="a"):
    head = f'{{"version":{version},"changedAt":"{at or AT % version}","changedBy":"{by}",'
    return f'{head}"tag":"{tag}","metrics":{version},"lastChanged":"c"}}\n'.encode()


LINES = [line(1), line(2), line(3)]


def outcomes(store, lines):
    """What an import of the lines gives, once a dry run has said the same."""
    foreseen = list(transfer.import_lines(store, lines, HeldClock(), dry_run=True))
    done = list(transfer.import_lines(store, lines, HeldClock()))
    assert foreseen == done
    return [outcome for _, outcome, _ in done]


def test_the_deepest_metrics_come_back(services, folder, clock):
    services.documents.save("x", b"[" * 512 + b"]" * 512, "a")
    lines = list(transfer.export_tag(services.store, "x"))
    there = open_files(folder / "elsewhere", clock)
    assert outcomes(there, lines) == [IMPORTED]
    assert list(transfer.export_tag(there, "x")) == lines
    assert outcomes(there, [lines[0].replace(b"[", b"[[", 1).replace(b"]", b"]]", 1)]) == [REFUSED]


def test_an_export_is_there_also_where_trimming_is_behind(folder, clock):
    store = open_files(folder, clock, versions=3)
    for number in range(10):
        store.write(DOCUMENTS, "x", "a", lambda current, now: b'{"tag":"x","metrics":%d,"lastChanged":"c"}' % number)
    assert outcomes(store, list(transfer.export_tag(store, "x"))) == [THERE]


def test_an_export_is_there_also_when_it_is_past_the_age(store, clock):
    clock.forward(days=1000)
    assert outcomes(store, LINES) == [IMPORTED]
    assert outcomes(store, LINES) == [THERE]


def test_what_is_there_of_an_export_only_in_part_is_other_versions(store):
    assert outcomes(store, LINES[2:]) == [IMPORTED]
    assert outcomes(store, LINES) == [REFUSED]


def killed_at(monkeypatch, name, work):
    """Do something, and be killed where ``os`` would be called so."""

    class Killed(BaseException):
        """Like a kill: nothing is done about it."""

    def kill(*args, **options):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(os, name, kill)
        patched.setattr(shutil, "rmtree", lambda *args, **options: None)
        work()


def test_a_killed_import_does_not_keep_a_newer_export_out(store, monkeypatch, clock):
    killed_at(monkeypatch, "rename", lambda: list(transfer.import_lines(store, LINES, clock)))
    assert list(store.history(DOCUMENTS, "x")) == []
    assert outcomes(store, [*LINES, line(4)]) == [IMPORTED]


def test_a_killed_import_leaves_nothing_for_ever(store, folder, clock, monkeypatch):
    killed_at(monkeypatch, "rename", lambda: list(transfer.import_lines(store, LINES, clock)))
    assert [name for name in files_below(folder) if ".tmp" in name]
    assert not open_files(folder, clock).items(DOCUMENTS).items
    assert outcomes(store, LINES) == [IMPORTED]
    assert not [name for name in files_below(folder) if ".tmp" in name]


def test_versions_may_have_gaps_and_an_earlier_time(store):
    """As thinning, and a clock that was set back, leave them."""
    assert outcomes(store, [line(1, at=AT % 9), line(3, at=AT % 2)]) == [IMPORTED]
    assert [item.version for item in store.history(DOCUMENTS, "x")] == [3, 1]


def test_a_version_of_a_clock_that_was_ahead_and_was_put_back_keeps_no_export_out(store, folder, clock):
    for days in (0, 1000, -1000):
        clock.forward(days=days)
        store.write(DOCUMENTS, "x", "a", lambda current, now: b'{"tag":"x","metrics":1,"lastChanged":"c"}')
    lines = list(transfer.export_tag(store, "x"))
    assert outcomes(open_files(folder.parent / "other", clock), lines) == [IMPORTED]


def test_what_a_person_wrote_stays_so(store, folder, clock):
    store.write(DOCUMENTS, "x", "a", lambda current, now: b'{"tag":"x","metrics":1,"lastChanged":"c"}', kept=True)
    lines = list(transfer.export_tag(store, "x"))
    assert outcomes(open_files(folder.parent / "other", clock), lines) == [IMPORTED]
    assert next(open_files(folder.parent / "other", clock).history(DOCUMENTS, "x")).kept


@pytest.mark.parametrize(
    "lines, sentence",
    [
        ([line(2), line(1)], "in order"),
        ([line(1), line(1)], "in order"),
        ([line(1), line(2, at="2018-01-13T12:00:04.000000Z")], "version 2 is of 2018-01-13T12:00:04.000000Z, which"),
        ([line(1, "PLATFORM")], "only the server"),
        ([line(1, at="9999-12-31T23:59:59.999999Z")], "It is not a time"),
        ([line(1, at="0001-01-01T00:00:00.000000Z")], "It is not a time"),
        ([line(1, by="b" * 300)], "Longer than"),
        ([line(1, by="b\\u0000")], "control character"),
    ],
)
def test_what_no_export_writes_is_refused(store, lines, sentence):
    assert outcomes(store, lines) == [REFUSED]
    assert sentence in next(transfer.import_lines(store, lines, HeldClock()))[2]


def test_what_is_refused_leaves_nothing(store, folder):
    assert outcomes(store, [line(1, "y")]) == [IMPORTED]
    before = sorted(folder.rglob("*"))
    assert outcomes(store, [line(1), line(1)]) == [REFUSED]
    assert sorted(folder.rglob("*")) == before


def test_lines_that_do_not_stand_together_are_refused(store):
    done = list(transfer.import_lines(store, [line(1), line(1, "y"), line(2), line(2, "y")], HeldClock()))
    assert [outcome for _, outcome, _ in done] == [IMPORTED, IMPORTED, REFUSED, REFUSED]
    assert "do not stand with the others" in done[2][2]


def test_an_import_of_a_long_history_takes_little_memory(store):
    text = b'"%b"' % (b"x" * 2**20)
    lines = (
        line(1 + number, at=AT % 1).replace(b'"metrics":%d' % (1 + number), b'"metrics":' + text)
        for number in range(60)
    )
    tracemalloc.start()
    try:
        assert [outcome for _, outcome, _ in transfer.import_lines(store, lines, HeldClock())] == [IMPORTED]
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()
    assert store.read(DOCUMENTS, "x").version == 60
    assert all(len(item.value) > 2**20 for item in store.history(DOCUMENTS, "x"))


def test_of_a_file_that_is_no_export_no_more_than_a_line_is_kept(store):
    tracemalloc.start()
    try:
        ((tag, outcome, sentence),) = transfer.import_lines(store, (b"no\n" for _ in range(20_000)), HeldClock())
        assert (tag, outcome) == (None, REFUSED) and sentence.startswith("line 1: ")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
