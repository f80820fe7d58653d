"""Long answers are made while they are sent: they go through little memory, and in pieces of some size."""

import tracemalloc

import pytest

from deploymetrics.documents import service
from deploymetrics.errors import StorageError

LIST = "/api/deploymentmetrics"
TEXT = b'"%s"' % (b"x" * 2**18)
NUMBER = 60  # 15 MiB in all


def read(person, url):
    """(the length of the answer, its pieces, the most memory that was in use meanwhile), of a warm server."""
    for _ in range(2):
        tracemalloc.start()
        answer = person.get(url)
        assert answer.status_code == 200
        sizes = [len(piece) for piece in answer.response]
        answer.close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.headers.get("Content-Length") in (None, str(sum(sizes)))
    return sum(sizes), len(sizes), peak


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_list_of_large_documents(master, services, form):
    for number in range(NUMBER):
        services.documents.save(f"{number:02d}", TEXT, "alice")
    size, _, peak = read(master, f"{LIST}?output={form}")
    assert size > NUMBER * 2**18 and peak < 4 * 2**20
    assert read(master, f"{LIST}?output={form}&limit=3&after=20")[2] < 4 * 2**20


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_history_of_large_versions(master, services, monkeypatch, form):
    monkeypatch.setattr(service, "PAGE_BYTES", 2**20)
    for _ in range(NUMBER):
        services.documents.save("custom", TEXT, "alice")
    size, _, peak = read(master, f"{LIST}/custom/history?limit=1000&output={form}")
    assert 2**20 < size < 2**21 and peak < 5 * 2**20


def test_small_documents_are_sent_many_at_a_time(master, services):
    for number in range(100):
        services.documents.save(f"{number:02d}", b"1", "alice")
    for url in (f"{LIST}?output=xml", f"{LIST}?output=json"):
        assert read(master, url)[1] <= 3
    for form in ("json", "xml"):
        assert read(master, f"{LIST}/07/history?output={form}")[1] <= 3


@pytest.mark.parametrize("url", [LIST, f"{LIST}?output=json", f"{LIST}?output=xml"])
def test_a_list_whose_first_piece_cannot_be_read_is_an_error(master, services, monkeypatch, url):
    """Also where the storage finds that only when it is read, and nothing was sent yet."""
    services.documents.save("custom", b"1", "alice")
    listing = services.documents.list()

    def fail(start, stop):
        raise StorageError(log="the database is gone")
        yield

    monkeypatch.setattr(services.documents, "list", lambda: listing._replace(read=fail))
    answer = master.get(url)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert master.head(url).status_code == 200
