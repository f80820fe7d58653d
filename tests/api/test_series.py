"""Numbers over time through the API, and the history between two times."""

import csv
import io

import pytest
from accesskit import URL
from problems import assert_problem

SERIES, HISTORY = f"{URL}/series", f"{URL}/history"


@pytest.fixture
def hours(save, clock):
    """Ten versions, one an hour from noon on; the fifth is without ``a``."""
    for number in range(10):
        save(
            "custom",
            b'[{"b":"%d","c":"text"}]' % number if number == 4 else b'[{"a":%d.50,"b":"%d"}]' % (number, number),
        )
        clock.forward(hours=1)


def asked(master, query=""):
    """The series by name: (hour, value) pairs."""
    answer = master.get(f"{SERIES}?{query}")
    assert answer.status_code == 200, answer.text
    return {
        one["name"]: [(int(point["time"][11:13]), point["value"]) for point in one["points"]]
        for one in answer.get_json()["series"]
    }


def test_all_numbers_or_those_that_are_named(master, hours):
    every = asked(master)
    assert list(every) == ["a", "b"]
    assert every["b"] == [(12 + number, number) for number in range(10)]
    assert every["a"] == [(12 + number, number + 0.5) for number in range(10) if number != 4]
    assert asked(master, "name=b") == {"b": every["b"]}
    assert list(asked(master, "name=b&name=a&name=b&name=none")) == ["b", "a", "none"]
    assert asked(master, "name=none") == {"none": []}
    assert '"value":0.50}' in master.get(SERIES).text, "digit for digit"


def test_between_times_and_one_of_each_step(master, hours):
    assert asked(master, "name=b&since=2018-01-12T14:00:00Z&until=2018-01-12T16:30:00Z")["b"] == [
        (14, 2),
        (15, 3),
        (16, 4),
    ]
    assert asked(master, "name=b&since=2018-01-12T15:00:00%2B01:00&until=1515774600")["b"] == [
        (14, 2),
        (15, 3),
        (16, 4),
    ]
    assert asked(master, "name=b&since=2018-01-12T15:00:00+01:00&until=1515774600000")["b"] == [
        (14, 2),
        (15, 3),
        (16, 4),
    ]
    assert asked(master, "name=b&step=3h")["b"] == [(14, 2), (17, 5), (20, 8), (21, 9)]
    assert asked(master, "name=b&step=10800") == asked(master, "name=b&step=180m")
    assert asked(master, "name=b&until=2017-01-01T00:00:00Z") == {"b": []}


@pytest.mark.parametrize("how", [{"query_string": "output=csv"}, {"headers": {"Accept": "text/csv, */*;q=0.1"}}])
def test_a_table(master, hours, how):
    answer = master.get(SERIES, **how)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["time", "version", "a", "b"]
    assert rows[1] == ["2018-01-12T12:00:03.123456Z", "1", "0.50", "0"]
    assert rows[5][2:] == ["", "4"] and len(rows) == 11


def test_no_cell_is_a_formula(master, save):
    save("custom", b'{"=1+1":1,"-x":2}')
    assert master.get(f"{SERIES}?output=csv").text.splitlines()[0] == "time,version,'=1+1,'-x"


@pytest.mark.parametrize(
    ("metrics", "head"),
    [("5", ["time", "version", ""]), ('{"":1,"a=b":2}', ["time", "version", "", "a=b"])]
    + [(f'{{"{begin}1":1}}', ["time", "version", f"'{begin}1"]) for begin in "=+-@\uff1d\uff0b\uff0d\uff20"],
)
def test_only_what_begins_a_formula_gets_a_quote(master, save, metrics, head):
    save("custom", metrics.encode())
    text = master.get(f"{SERIES}?output=csv").text
    assert next(csv.reader(io.StringIO(text))) == head


def test_an_unchanged_answer_is_not_sent_again(master, hours):
    etag = master.get(SERIES).headers["ETag"]
    assert master.get(SERIES, headers={"If-None-Match": etag}).status_code == 304


def test_the_history_between_times(master, hours):
    def versions(query):
        answer = master.get(f"{HISTORY}?{query}")
        assert answer.status_code == 200, answer.text
        return [one["version"] for one in answer.get_json()], answer.headers.get("Link")

    assert versions("since=2018-01-12T14:00:00Z&until=2018-01-12T16:30:00Z") == ([5, 4, 3], None)
    assert versions("since=2018-01-12T20:00:00Z") == ([10, 9], None)
    assert versions("until=1515758403.2") == ([1], None)
    assert versions("until=1515758403") == ([], None)
    assert versions("since=2019-01-01T00:00:00Z") == ([], None)
    first, link = versions("since=2018-01-12T14:00:00Z&until=2018-01-12T16:30:00Z&limit=2")
    assert first == [5, 4] and "since=2018-01-12T14%3A00%3A00Z" in link
    assert versions(link.partition("?")[2].partition(">")[0]) == ([3], None)


@pytest.mark.parametrize("path", [SERIES, HISTORY])
@pytest.mark.parametrize(
    "query",
    ["sinse=0", "since=yesterday", "since=2018-01-12T12:00:00", "until=-1", "since=", "until=9999-12-31T00:00:00Z"],
)
def test_what_is_not_understood_is_refused(master, hours, path, query):
    assert assert_problem(master.get(f"{path}?{query}"), 400, "invalid-fields")["errors"].keys() == {
        query.partition("=")[0]
    }


def test_what_series_do_not_have(master, hours):
    for query in ("step=0", "step=often", "step=-5m", "limit=5"):
        assert_problem(master.get(f"{SERIES}?{query}"), 400, "invalid-fields")
    assert_problem(master.get(f"{SERIES}?output=xml"), 406, "not-acceptable", "xml")
    assert_problem(master.get(f"{SERIES}?output=pdf"), 400, "invalid-fields")
    assert_problem(master.get("/api/deploymentmetrics/none/series"), 404, "no-such-tag")
