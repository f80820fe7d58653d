"""Imports that are repeated, killed, or of what no export writes: wholly there or not, and a dry run says the same."""

import pytest
from crash.record import killed_at
from storekit import files_below, open_files

from deploymetrics.documents import transfer
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.documents.transfer import IMPORTED, REFUSED, THERE
from deploymetrics.storage import durable, restoring, segments

AT = "2018-01-12T12:00:0%d.000000Z"


def line(version, tag="x", at=None, by="a"):
    head = f'{{"version":{version},"changedAt":"{at or AT % version}","changedBy":"{by}",'
    return f'{head}"tag":"{tag}","metrics":{version},"lastChanged":"c"}}\n'.encode()


LINES = [line(1), line(2), line(3)]


def outcomes(store, lines):
    """What an import of the lines gives, once a dry run has said the same."""
    foreseen = list(transfer.import_lines(store, lines, dry_run=True))
    done = list(transfer.import_lines(store, lines))
    assert foreseen == done
    return [outcome for _, outcome, _ in done]


def test_an_export_is_there_also_where_trimming_is_behind(folder, clock):
    store = open_files(folder, clock, versions=3)
    for number in range(10):
        store.write(DOCUMENTS, "x", "a", lambda current, at: b'{"tag":"x","metrics":%d,"lastChanged":"c"}' % number)
    assert outcomes(store, transfer.export_tag(store, "x")) == [THERE]


def test_an_export_is_there_also_when_it_is_past_the_age(store, clock):
    clock.forward(days=1000)
    assert outcomes(store, LINES) == [IMPORTED]
    assert outcomes(store, LINES) == [THERE]


def test_what_is_there_of_an_export_only_in_part_is_other_versions(store):
    assert outcomes(store, LINES[2:]) == [IMPORTED]
    assert outcomes(store, LINES) == [REFUSED]


def test_a_killed_import_does_not_keep_a_newer_export_out(store, monkeypatch):
    killed_at(monkeypatch, durable, "replace_file", lambda: list(transfer.import_lines(store, LINES)))
    assert store.history(DOCUMENTS, "x") == []
    assert outcomes(store, [*LINES, line(4)]) == [IMPORTED]


def test_a_killed_import_leaves_nothing_for_ever(store, folder, clock, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(restoring.shutil, "rmtree", lambda *args, **options: None)
        killed_at(monkeypatch, restoring.os, "rename", lambda: list(transfer.import_lines(store, LINES)))
    assert [name for name in files_below(folder) if ".tmp" in name]
    assert open_files(folder, clock).keys(DOCUMENTS) == []
    assert not [name for name in files_below(folder) if ".tmp" in name]


def test_the_mark_of_an_import_that_was_done_goes_with_the_next_write(store, monkeypatch, folder):
    killed_at(monkeypatch, restoring, "remove_mark", lambda: list(transfer.import_lines(store, LINES)))
    mark = folder / "history/deploymentmetrics/x/unfinished"
    assert mark.exists()
    store.write(DOCUMENTS, "x", "a", lambda current, at: b'{"tag":"x","metrics":4,"lastChanged":"c"}')
    assert not mark.exists()


def test_a_reader_does_not_see_an_import_that_begins_meanwhile(store, monkeypatch):
    starts = segments.Segments.starts

    def import_first(self):
        monkeypatch.setattr(segments.Segments, "starts", starts)
        killed_at(monkeypatch, durable, "replace_file", lambda: list(transfer.import_lines(store, LINES)))
        return starts(self)

    monkeypatch.setattr(segments.Segments, "starts", import_first)
    assert store.history(DOCUMENTS, "x") == []


@pytest.mark.parametrize("lines, sentence", [
    ([line(1, at=AT % 9), line(2)], "earlier"),
    ([line(1), line(3)], "in order"),
    ([line(1, "PLATFORM")], "only the server"),
    ([line(1, at="9999-12-31T23:59:59.999999Z")], "It is not a time"),
    ([line(1, at="0001-01-01T00:00:00.000000Z")], "It is not a time"),
    ([line(1, by="b" * 300)], "Longer than"),
])
def test_what_no_export_writes_is_refused(store, lines, sentence):
    assert outcomes(store, lines) == [REFUSED]
    assert sentence in next(transfer.import_lines(store, lines))[2]


def test_lines_that_do_not_stand_together_are_refused(store):
    done = list(transfer.import_lines(store, [line(1), line(1, "y"), line(2), line(2, "y")]))
    assert [outcome for _, outcome, _ in done] == [IMPORTED, IMPORTED, REFUSED, REFUSED]
    assert "do not stand with the others" in done[2][2]


def test_other_files_in_the_folder_of_a_history_are_left(store, folder):
    store.keys(DOCUMENTS)
    stray = folder / "history/deploymentmetrics/x/note"
    stray.parent.mkdir()
    stray.touch()
    done = list(transfer.import_lines(store, LINES))
    assert done[0][1] == REFUSED and "other files" in done[0][2]
    assert stray.exists()
