"""Series over the history: each is one thing's values, whatever a client does with the order of things."""

import json
import sys

import pytest
from effort import processor_seconds

from deploymetrics.documents.headlines import headline_series
from deploymetrics.documents.values.measures import MAX_DEPTH, measures
from deploymetrics.documents.values.numbers import shorten_number
from deploymetrics.documents.values.series import read_series


@pytest.fixture
def series(save, services):
    """{name: texts} of the series of these versions, each metrics as an object or as text."""

    def collected(*versions):
        for metrics in versions:
            save("custom", metrics.encode() if isinstance(metrics, str) else json.dumps(metrics).encode())
        items = services.documents.history("custom").items[::-1]
        known = measures(items)
        assert not known.cut
        wanted = [one for one in known.by_name.values() if not one.function]
        found = read_series(items, known, wanted)
        return {one.name: [point.text for point in one.points] for one in found}

    return collected


DISKS = [{"site": "a", "os": "w", "n": 1}, {"site": "a", "os": "l", "n": 2}, {"site": "b", "os": "w", "n": 3}]
A, B = {"host": "10.0.0.1", "cpu": 3}, {"host": "10.0.0.2", "cpu": 90}


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([[A, B], [B, A]], {"[10.0.0.1].cpu": ["3", "3"], "[10.0.0.2].cpu": ["90", "90"]}, id="order"),
        pytest.param([[A], [A, B], [B]], {"[10.0.0.1].cpu": ["3", "3"], "[10.0.0.2].cpu": ["90", "90"]}, id="second"),
        pytest.param([[A], [B]], {"[10.0.0.1].cpu": ["3"], "[10.0.0.2].cpu": ["90"]}, id="another"),
        pytest.param([[A], [A]], {"cpu": ["3", "3"]}, id="only"),
        pytest.param(
            [[{"n": 3, "host": "a"}, {"host": "b", "n": 4}], [{"host": "b", "n": 4}, {"host": "a", "n": 3}]],
            {"[a].n": ["3", "3"], "[b].n": ["4", "4"]},
            id="members",
        ),
        pytest.param(
            [[{"id": 7, "n": 1}, {"id": 8, "n": 2}], [{"id": 8, "n": 2}, {"id": 7, "n": 1}]],
            {"[id 7].id": ["7", "7"], "[id 7].n": ["1", "1"], "[id 8].id": ["8", "8"], "[id 8].n": ["2", "2"]},
            id="ids",
        ),
        pytest.param(
            [[{"relay": "r", "n": 1}], [{"relay": "s", "n": 2}, {"relay": "r", "n": 3}]],
            {"[r].n": ["1", "3"], "[s].n": ["2"]},
            id="text",
        ),
        pytest.param(
            [[{"version": "1", "os": "x", "n": 1}], [{"version": "2", "os": "y", "n": 2}]],
            {"n": ["1", "2"], "version": ["1", "2"]},
            id="one thing with texts that change",
        ),
        pytest.param(
            [DISKS, DISKS[::-1]],
            {"[a, w].n": ["1", "1"], "[a, l].n": ["2", "2"], "[b, w].n": ["3", "3"]},
            id="two together",
        ),
        pytest.param(
            [
                [{"status": "up", "disk": "c", "n": 1}, {"status": "down", "disk": "d", "n": 2}],
                [{"status": "down", "disk": "c", "n": 1}, {"status": "up", "disk": "d", "n": 2}],
            ],
            {"[c].n": ["1", "1"], "[d].n": ["2", "2"]},
            id="what changes is no name",
        ),
        pytest.param(
            [[{"site": "x", "n": 1}, {"site": "x", "n": 2}]], {"[x].n": ["1"], "[x (2)].n": ["2"]}, id="alike"
        ),
        pytest.param([[{"n": 1}], [{"n": 1}, {"n": 2}]], {"[0].n": ["1", "1"], "[1].n": ["2"]}, id="no name"),
        pytest.param([[1, 2], [3]], {"[0]": ["1", "3"], "[1]": ["2"]}, id="numbers"),
        pytest.param(
            [{"sites": [{"hosts": [A, B]}]}, {"sites": [{"hosts": [B, A]}]}],
            {"sites.hosts[10.0.0.1].cpu": ["3", "3"], "sites.hosts[10.0.0.2].cpu": ["90", "90"]},
            id="deeper",
        ),
        pytest.param([{"a.b": 1, "a": {"b": 100}}] * 2, {'"a.b"': ["1", "1"], "a.b": ["100", "100"]}, id="dot"),
        pytest.param(['{"a":1,"a":2}'] * 2, {"a": ["1", "1"], "a (2)": ["2", "2"]}, id="one key twice"),
        pytest.param(
            [{"k" * 300 + "x": 1, "k" * 300 + "y": 2}],
            {"k" * 79 + "…": ["1"], "k" * 79 + "… (2)": ["2"]},
            id="long keys",
        ),
        pytest.param(
            [{"[0]": 1, "": 2, "x": [{"": 3}, {"": 4}]}, 5],
            {'[0]': ["1"], '""': ["2"], "x[0].": ["3"], "x[1].": ["4"], "": ["5"]},
            id="odd keys",
        ),
    ],
)
def test_a_series_is_one_things_values(series, versions, expected):
    assert series(*versions) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0." + "1" * 40,
        "9" * 400,
        "1E400",
        "-1e-999",
        "1" + "0" * 20_000,
        "1E99999999999999999999",
        "0.1" + "0" * 5000 + "1",
    ],
)
def test_numbers_of_any_length(series, text, pages):
    assert series({"a": text}, f'{{"a":{text}}}') == {"a": [text, text]}
    page = pages.get("/tags/custom?every=1").text
    assert "a: 2 values" in page and "no numbers to plot" not in page and len(page) < 60_000


@pytest.mark.parametrize(
    "metrics",
    [{f"c{at}": at for at in range(12_000)}, [{f"c{at}": at} for at in range(4000)]],
    ids=["members", "elements with a member of their own"],
)
def test_many_numbers_cost_no_more_each(services, save, metrics):
    """That is far less than a document may hold."""
    save("custom", json.dumps(metrics).encode())
    items = services.documents.history("custom").items
    known = measures(items)
    every = list(known.by_name.values())
    with processor_seconds(0.5):
        assert len(read_series(items, known, every)) == len(every)


def test_long_numbers_are_rounded_for_show():
    texts = ("0.1", "123456789012345", "1234567890.123456789", "9" * 400, "-0." + "3" * 30)
    assert list(map(shorten_number, texts)) == [
        "0.1",
        "123456789012345",
        "1234567890.12",
        "1.00000000000e+400",
        "-0.333333333333",
    ]


def test_a_number_that_is_gone_says_so(pages, save):
    for metrics in (b'{"errors":7,"n":1}', b'{"n":2}', b'{"n":3}'):
        save("custom", metrics)
    page = pages.get("/tags/custom").text
    assert "<bdi>errors</bdi></a> <i>gone since version 2</i>" in page and "<b>7</b>" not in page
    assert "<bdi>n</bdi></a> <b>3</b>" in page and page.index("<bdi>n</bdi>") < page.index("<bdi>errors</bdi>")


HOSTS = [{"host": "a", "cpu": 1, "id": 7}, {"host": "b", "cpu": "2.5", "id": 8}, {"host": "c", "cpu": None, "id": 9}]


def test_an_array_has_sums_and_means(save, services):
    for factor in (1, 2):
        things = [{**thing, "cpu": thing["cpu"] and str(float(thing["cpu"]) * factor)} for thing in HOSTS]
        save("custom", json.dumps({"hosts": things, "loads": [[1, factor], [5]]}).encode())
    items = services.documents.history("custom").items[::-1]
    known = measures(items)
    columns = [one for one in known.by_name.values() if one.function]
    found = {one.name: [point.text for point in one.points] for one in read_series(items, known, columns)}
    assert found == {
        "sum(hosts[].cpu)": ["3.5", "7"],
        "mean(hosts[].cpu)": ["1.75", "3.5"],
        "min(hosts[].cpu)": ["1", "2"],
        "max(hosts[].cpu)": ["2.5", "5"],
        "sum(loads[][])": ["7", "8"],
        "mean(loads[][])": ["2.33333333333", "2.66666666667"],
        "min(loads[][])": ["1", "1"],
        "max(loads[][])": ["5", "5"],
    }


def test_a_sum_beyond_all_numbers_is_drawn_at_the_end_of_the_scale(save, services):
    save("custom", b"[1e308,1e308,1E999]")
    items = services.documents.history("custom").items
    known = measures(items)
    (found,) = read_series(items, known, [known.by_name["sum([])"]])
    assert found.points[0].value > 0.999 * sys.float_info.max


@pytest.mark.parametrize(
    "metrics",
    [
        {"a": 1, "b": {"c": [A, B, 3, [4]], "é": "7"}},
        [A, {**B, "n": {"m": 5}}, {"other": 6}],
        [[1, 2], [3, [4]], []],
        [{"a\\b": 1, "host": 'x"y'}, {"a\\b": 2, "host": "\u00e9\n"}],
        5,
    ],
)
def test_what_is_read_from_raw_text_is_what_stands_there(save, services, metrics):
    """Whole documents are parsed where an object has a key twice; both ways find the same."""
    save("custom", json.dumps(metrics).encode())
    items = services.documents.history("custom").items
    known = measures(items)
    every = list(known.by_name.values())
    assert every and read_series(items, known, every) == read_series(items, known._replace(repeated=True), every)
    assert all(len(one.points) == 1 for one in read_series(items, known, every))


@pytest.mark.parametrize(("levels", "is_plotted"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (512, False)])
def test_numbers_are_plotted_down_to_a_depth(save, services, levels, is_plotted):
    save("custom", b"[" * levels + b"1" + b"]" * levels)
    known = measures(services.documents.history("custom").items)
    assert bool(known.by_name) == is_plotted


def test_where_a_number_is_missing_there_is_a_gap(save, services):
    for metrics in (b'{"a":1}', b'{"a":2}', b"{}", b'{"a":3}'):
        save("custom", metrics)
    services.documents.delete("custom", "bob")
    save("custom", b'{"a":4}')
    items = services.documents.history("custom").items[::-1]
    known = measures(items)
    (found,) = read_series(items, known, list(known.by_name.values()))
    assert [point.text for point in found.points] == ["1", "2", "3", "4"] and found.breaks == {2, 3}


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([{"id": 7, "site": "x", "version": 3, "n": 1}, {"id": 7, "site": "x", "version": 3, "n": 2}], "n"),
        ([{"id": 7, "n": 1, "m": 1}], "n"),
        ([{"id": 7}, {"id": 8}], "id"),
        ([[A, B]], "sum([].cpu)"),
        ([[{"host": "a", "cpu_percent": 1}, {"host": "b", "cpu_percent": 2}]], "mean([].cpu_percent)"),
        ([{"a": 1, "b": 5}, {"b": 5}], "b"),
        ([{"a": "x"}], None),
    ],
)
def test_the_most_telling_number(save, services, versions, expected):
    for metrics in versions:
        item = save("custom", json.dumps(metrics).encode())
    found = headline_series(services.documents, item)
    assert (found and found.name) == expected


def test_the_number_that_was_chosen_is_shown(save, services):
    save("custom", b'{"a":1,"b":5}')
    item = save("custom", b'{"a":2,"b":5}')
    assert headline_series(services.documents, item).name == "a"
    assert headline_series(services.documents, item, "b").name == "b"
    assert headline_series(services.documents, item, "gone").name == "a"


def test_the_overview_shows_the_value_of_now(pages, save, services):
    save("custom", b'{"a":7}')
    item = save("custom", b'{"b":8}')
    found = headline_series(services.documents, item)
    assert (found.name, [point.text for point in found.points]) == ("b", ["8"])
    page = pages.get("/").text
    assert "<b>8</b> <bdi>b</bdi>" in page and 'aria-label="b: 8"' in page


def test_a_comparison_follows_things_too(pages, save):
    save("custom", json.dumps([A, B]).encode())
    save("custom", json.dumps([B, A]).encode())
    save("custom", json.dumps([B, {**A, "cpu": 4}]).encode())
    assert "only their order" in pages.get("/tags/custom/compare?from=1&to=2").text
    page = pages.get("/tags/custom/compare?from=1&to=3").text
    assert page.count("<del>") == 1 and "<bdi>[10.0.0.1].cpu</bdi>" in page.replace("<wbr>", "")
    save("dots", b'{"a.b":1,"a":{"b":100}}')
    save("dots", b'{"a.b":100,"a":{"b":1}}')
    assert pages.get("/tags/dots/compare?from=1&to=2").text.count("<del>") == 2
