"""The page of one plot: its address, its lines, gaps and figures."""

import re
from urllib.parse import urlsplit

import pytest
from pagekit import text_of

from deploymetrics.documents.values.series import Point, Series
from deploymetrics.web.figures.curves import gaps, thin
from deploymetrics.web.time_range import TimeRange


@pytest.fixture
def posted(save, clock):
    """Ten hours of two tags, the second of them far smaller."""
    for number in range(10):
        save("endpoints", b'{"count":%d,"other":%d}' % (20_000 + number, number * number))
        save("actions", b'{"open":%d}' % (30 - number))
        clock.forward(hours=1)


def lines_of(page):
    """How many lines the wide plot has."""
    return page.partition('class="chart narrow"')[0].count("<polyline")


def test_numbers_of_several_tags_in_one_plot(master, posted):
    page = text_of(master.get("/plot?series=endpoints/count&series=actions/open&range=week"))
    assert lines_of(page) == 2 and "Each line has a scale of its own" in page
    assert "20009</tspan>" in page and "21</tspan>" in page
    assert (
        "<pre" in page and "http://localhost/plot?series=endpoints/count&amp;series=actions/open&amp;range=week" in page
    )
    assert "Each line has a scale" not in text_of(
        master.get("/plot?series=endpoints/count&series=actions/open&scale=one")
    )
    assert lines_of(text_of(master.get("/plot?series=endpoints/count&series=endpoints/count"))) == 1
    assert lines_of(text_of(master.get("/plot?" + "series=endpoints/count&series=endpoints/other&" * 9))) == 2


def test_what_stands_between_the_links_above_is_not_read_aloud(master, posted):
    page = text_of(master.get("/plot?series=endpoints/count&series=actions/open&series=endpoints/other"))
    crumbs = re.search('<p class="crumbs">(.*)</p>', page)[1]
    read_aloud = re.sub('<span aria-hidden="true">.*?</span>', "", crumbs)
    assert re.sub("<.*?>", "", crumbs) == "Metrics › endpoints , actions"
    assert re.sub("<.*?>", "", read_aloud) == "Metrics  endpoints  actions"


def test_what_is_not_there_is_said(master, posted):
    page = text_of(master.get("/plot?series=endpoints/no&series=none/x&series=endpoints/count&series=a%0Ab/c"))
    assert "endpoints has no number no in this time." in page and "none: There is no document" in page
    assert lines_of(page) == 1
    assert "There are no values in this time" in text_of(master.get("/plot?series=endpoints/count&to=2010-01-01"))
    assert "Choose a number to plot" in text_of(master.get("/plot"))
    assert "is not a date" in text_of(master.get("/plot?series=endpoints/count&from=%3Cb%3E"))


def test_a_line_is_added(master, posted):
    page = text_of(master.get("/plot?series=endpoints/count&pick=actions"))
    assert '<option value="actions/open">open</option>' in page
    assert '<option value="endpoints/other">other</option>' in text_of(master.get("/plot?series=endpoints/count"))
    assert "There are no other numbers" in text_of(master.get("/plot?series=endpoints/count&pick=nothing"))


def test_earlier_and_later(master, posted):
    page = text_of(master.get("/plot?series=endpoints/count&range=hour"))
    earlier = re.search('href="([^"]*)" rel="prev"', page)[1].replace("&amp;", "&")
    assert earlier == "/plot?series=endpoints/count&from=2018-01-12T20:00Z&to=2018-01-12T21:00Z"
    page = text_of(master.get(earlier))
    later = re.search('href="([^"]*)" rel="next"', page)[1].replace("&amp;", "&")
    assert later == "/plot?series=endpoints/count&range=hour"
    assert 'rel="next"' not in text_of(master.get(later)) and 'rel="prev"' not in text_of(
        master.get("/plot?series=endpoints/count&range=all")
    )


def test_the_figures_are_a_table_and_csv(master, posted):
    page = text_of(master.get("/plot?series=endpoints/count&series=actions/open&range=all"))
    assert page.count('<td class="figure num">') == 40
    address = re.search('href="([^"]*)" download', page)[1].replace("&amp;", "&")
    answer = master.get(address)
    assert answer.mimetype == "text/csv" and urlsplit(address).path == "/plot.csv"
    rows = answer.text.split()
    assert answer.text.startswith("time,endpoints count,actions open\r\n2018-01-12T12:00:03.123456Z,")
    assert {row.split(",", 1)[1] for row in rows[3:5]} == {"20000,", ",30"}


def test_no_cell_is_a_formula(pages, save):
    save("=1+1", b'{"a":1}')
    assert "'=1+1 a" in pages.get("/plot.csv?series=%3D1%2B1/a").text


def test_hostile_names(pages, save):
    save("<b>", b'{"<script>":1}')
    save("<b>", b'{"<script>":2}')
    page = text_of(pages.get("/plot?series=%3Cb%3E/%3Cscript%3E&series=x/%3Cscript%3E"))
    assert page.count("<script") == 1 and lines_of(page) == 1 and "<b></bdi>" not in page
    assert 'href="/plot?series=%3Cb%3E/%3Cscript%3E&amp;range=all"' in text_of(pages.get("/tags/%3Cb%3E"))


# --- Lines


def series(*minutes, breaks=()):
    """A Series with a point at each of these minutes."""
    points = [Point(at, f"2018-01-12T{at // 60:02}:{at % 60:02}:00Z", str(at), at) for at in minutes]
    return Series("x", points, None, frozenset(breaks))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (series(0, 5, 10, 15, 60, 65, 70, 75), [4]),
        (series(0, 5, 10, 15, 20), []),
        (series(0, 60, 120, 180, 185, 190, 195), []),
        (series(0, 5, 10, 15, 75, 135, 195), []),
        (series(0, 5, 10, 15, breaks=[2]), [2]),
        (series(0), []),
    ],
    ids=["nothing came", "even", "thinned out before", "thinned out after", "missing", "one"],
)
def test_gaps_are_gaps(found, expected):
    assert gaps(found) == expected


def test_thinning_keeps_the_ends_and_what_stands_out():
    found = series(*range(1000))
    found.points[417] = found.points[417]._replace(value=-1e9)
    kept = thin(found, 50)
    assert len(kept) <= 50 and kept[0] == found.points[0] and kept[-1] == found.points[-1]
    assert found.points[417] in kept


def test_a_span_moves_by_its_length(clock):
    now = clock.now()
    week = TimeRange("week", now.replace(day=5), None, now)
    assert week.shift(-1) == {"from": "2017-12-29T12:00Z", "to": "2018-01-05T12:00Z"} and week.shift(1) == {}
    assert TimeRange("all", None, None, now).shift(-1) == {}
