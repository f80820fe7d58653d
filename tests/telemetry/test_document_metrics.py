"""The lines of a scrape: made when a document has changed, and under the names that the plots have."""

import msgspec
import pytest
from effort import processor_seconds
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from deploymetrics.clock import Clock
from deploymetrics.documents.values.identity import survey
from deploymetrics.documents.values.numbers import is_number
from deploymetrics.documents.values.places import Place, leaves, places_by_name
from deploymetrics.formats import rawjson
from deploymetrics.storage import Entry, Listing
from deploymetrics.telemetry.document_metrics import DocumentMetrics

TIME = "2018-01-12T12:00:03.123456Z"


class Shelf:
    """Stands in for the service: documents by tag, and which of them were read."""

    def __init__(self, documents):
        self.documents = documents
        self.reads = []

    def list(self):
        documents = sorted(self.documents.items())
        entries = tuple(Entry(tag, 1, TIME, "bob", str(hash(value)), len(value)) for tag, value in documents)

        def read(start, stop):
            self.reads.append((start, stop))
            yield from (b"," + value for _, value in documents[start:stop])

        return Listing(str(hash(tuple(documents))), TIME, entries, (), read)


class Nothing:
    """Stands in for the expectations."""

    @staticmethod
    def all():
        return {}


def document(tag, metrics):
    return b'{"tag":%b,"metrics":%b,"lastChanged":"12 Jan 2018 12:00"}' % (msgspec.json.encode(tag), metrics)


def made_of(shelf, clock, per_tag=500, in_all=1_000_000):
    return DocumentMetrics(shelf, Nothing, clock, per_tag=per_tag, in_all=in_all)


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(-9, 9).map(str) | st.integers() | st.floats(-9, 9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["", "id", "a", "b.c", '"', "x" * 90, "x" * 91]) | st.text(max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(value=VALUES)
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("wrap", [False, True])
def test_any_document_has_the_names_of_the_plots(value, wrap):
    """Also the flat ones, whose names are found in a shorter way."""
    try:
        metrics = rawjson.compact(msgspec.json.encode([value] if wrap else value))
    except UnicodeEncodeError:
        return
    parsed = rawjson.parse(metrics)
    places = {place: float(found) for place, found in leaves(parsed, Place(), survey([parsed])) if is_number(found)}
    text = made_of(Shelf({"custom": document("custom", metrics)}), Clock()).text().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {one.labels["name"]: one.value for one in samples if "name" in one.labels} == {
        name: places[place] for name, place in places_by_name(places).items()
    }


def test_only_what_has_changed_is_read(clock):
    shelf = Shelf({f"tag {number:04d}": document(f"tag {number:04d}", b"[1]") for number in range(100)})
    metrics = made_of(shelf, clock)
    first = metrics.text()
    assert shelf.reads == [(0, 100)]
    assert metrics.text() == first and len(shelf.reads) == 1
    for number in (3, 4, 50):
        shelf.documents[f"tag {number:04d}"] = document(f"tag {number:04d}", b"[2]")
    del shelf.documents["tag 0099"]
    second = metrics.text()
    assert shelf.reads[1:] == [(3, 5), (50, 51)]
    assert second == made_of(shelf, clock).text() != first


def test_a_limit_cuts_between_lines_whatever_is_in_the_names(clock):
    names = [f"a{char}b" for char in "\u2028\u2029\x85\x0b\x0c\x1c\r\n"]
    metrics = msgspec.json.encode(dict.fromkeys(names, 1))
    text = made_of(Shelf({"custom": document("custom", metrics)}), clock, in_all=3 + 5).text().decode()
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert [sample.labels["name"] for sample in families["bigfix_deployment_metric"]] == names[:5]
    assert families["bigfix_deployment_metric_left_out"][0].value == len(names) - 5


def test_ten_thousand_documents(clock):
    """A scrape is to take a second at most, and next to nothing where nothing has changed."""
    metrics = b'[{"number_of_endpoints":"%d","relays":3,"share":1.5,"name":"some text","total":"20"}]'
    documents = {tag: document(tag, metrics % number) for number in range(10_000) for tag in [f"tag {number}"]}
    made = made_of(Shelf(documents), clock)
    with processor_seconds(1):
        assert made.text().count(b"\n") > 70_000
    with processor_seconds(0.1):
        made.text()
