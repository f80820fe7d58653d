"""Conditional requests: 304 for what the client has, 412 for what moved, and one winner among many writers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Barrier, Thread

import pytest
from conftest import PASSWORD
from problems import assert_problem
from storekit import until_it_waits

from deploymetrics import create_app

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
XML = {"Accept": "application/xml"}


def etags(person, url=URL):
    """The ETag of the JSON and of the XML form."""
    return person.get(url).headers["ETag"], person.get(url, headers=XML).headers["ETag"]


# --- What an ETag is


def test_etags_are_strong_and_differ_by_format(master):
    posted = master.post(URL, data="1")
    for url in (URL, LIST):
        json, xml = etags(master, url)
        assert json != xml
        assert all(etag.startswith('"') and etag.endswith('"') and len(etag) > 16 for etag in (json, xml))
        assert etags(master, url) == (json, xml)
    assert posted.headers["ETag"] == etags(master)[0]
    assert master.put(URL, data="2", headers=XML).headers["ETag"] == etags(master)[1]


def test_every_write_has_another_etag_within_one_tick(master):
    """The clock stands still, and the metrics are the same each time."""
    seen, lists = set(), set()
    for _ in range(20):
        seen.add(master.post(URL, data="1").headers["ETag"])
        lists |= set(etags(master, LIST))
    assert (len(seen), len(lists)) == (20, 40)
    master.delete(URL)
    assert not lists & set(etags(master, LIST))
    seen.add(master.post(URL, data="1").headers["ETag"])
    assert len(seen) == 21 and not lists & set(etags(master, LIST))


# --- Reading


@pytest.mark.parametrize("url", [URL, LIST])
@pytest.mark.parametrize("headers", [{}, XML])
@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"a", {0}', '{0}, W/"b"', "*", '"x",W/{0},"y"'])
def test_what_the_client_has_is_304(master, url, headers, form):
    master.post(URL, data="1")
    etag = master.get(url, headers=headers).headers["ETag"]
    for method in ("get", "head"):
        answer = getattr(master, method)(url, headers={**headers, "If-None-Match": form.format(etag)})
        assert (answer.status_code, answer.data) == (304, b"")
        assert (answer.headers.get("ETag"), answer.headers["Vary"]) == (etag, "Accept")
        assert "Content-Type" not in answer.headers and "Content-Length" not in answer.headers


@pytest.mark.parametrize("url", [URL, LIST])
@pytest.mark.parametrize("header", ['"x"', "", "nonsense", '"', ",,,", 'W/"x"', '"*"', "'*'", '"\xff"'])
def test_what_the_client_has_not_is_200(master, url, header):
    master.post(URL, data="1")
    assert master.get(url, headers={"If-None-Match": header}).status_code == 200


def test_one_format_is_not_the_other(master):
    master.post(URL, data="1")
    for url in (URL, LIST):
        json, xml = etags(master, url)
        assert master.get(url, headers={"If-None-Match": xml}).status_code == 200
        assert master.get(url, headers={"If-None-Match": json, **XML}).status_code == 200


def test_a_missing_document_is_404_whatever_is_asked(master):
    assert_problem(master.get(URL, headers={"If-None-Match": "*"}), 404, "no-such-tag")


# --- Writing


def write(person, method, headers):
    """The answer to a POST, PUT or DELETE."""
    body = {} if method == "delete" else {"data": "2"}
    return getattr(person, method)(URL, headers=headers, **body)


@pytest.mark.parametrize("method", ["post", "put"])
def test_create_only(master, method):
    headers = {"If-None-Match": "*"}
    assert write(master, method, headers).status_code == 200
    assert_problem(write(master, method, headers), 412, "precondition-failed")
    assert_problem(write(master, method, {**headers, **XML}), 412, "precondition-failed", "xml")
    master.delete(URL)
    assert write(master, method, headers).status_code == 200


WRITES = ["post", "put", "delete"]


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("which", [0, 1], ids=["json", "xml"])
@pytest.mark.parametrize("form", ["{0}", '"other", {0}'])
def test_if_match(master, method, which, form):
    master.post(URL, data="1")
    old = etags(master)[which]
    master.post(URL, data="1")
    current = master.get(URL).data
    assert_problem(write(master, method, {"If-Match": form.format(old)}), 412, "precondition-failed")
    assert master.get(URL).data == current
    assert write(master, method, {"If-Match": form.format(etags(master)[which])}).status_code in (200, 204)


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", ["nonsense", "", '"', '"x"', ",", '"*"', 'W/"x"', "\xff"])
def test_if_match_with_what_is_no_etag_of_it_is_412(master, method, header):
    master.post(URL, data="1")
    before = master.get(URL)
    answer = write(master, method, {"If-Match": header.format(before.headers["ETag"])})
    assert_problem(answer, 412, "precondition-failed")
    assert master.get(URL).data == before.data


@pytest.mark.parametrize("method", WRITES)
def test_if_match_star_asks_that_there_is_one(master, method):
    assert_problem(write(master, method, {"If-Match": "*"}), 412, "precondition-failed")
    assert master.get(LIST).data == b"[]"
    master.post(URL, data="1")
    assert write(master, method, {"If-Match": "*"}).status_code in (200, 204)


@pytest.mark.parametrize("method", WRITES)
def test_if_match_on_a_missing_document_is_412(master, method):
    master.post(URL, data="1")
    etag = etags(master)[0]
    master.delete(URL)
    assert_problem(write(master, method, {"If-Match": etag}), 412, "precondition-failed")
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize("method", WRITES)
def test_if_none_match_with_etags_on_a_write(master, method):
    master.post(URL, data="1")
    for etag in etags(master):
        assert_problem(write(master, method, {"If-None-Match": etag}), 412, "precondition-failed")
        assert_problem(write(master, method, {"If-None-Match": f"W/{etag}"}), 412, "precondition-failed")
    assert write(master, method, {"If-None-Match": '"other"'}).status_code in (200, 204)


def test_a_refused_body_is_told_before_a_condition(master):
    assert_problem(master.post(URL, data="{", headers={"If-Match": "*"}), 400, "malformed-json")


# --- The ETags that proxies make of ours

PROXIES = [
    "W/{0}",
    '"{1}-gzip"',
    'W/"{1}-gzip"',
    '"{1}-br"',
    '"{1};gzip"',
    '"{1}--gzip"',
    '"{1}-deflate"',
    '"{1}-zstd"',
]


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("form", PROXIES)
def test_an_etag_that_a_proxy_changed_is_ours(master, method, form):
    """nginx and HAProxy make it weak, Apache says how it compressed; it still names one version of one document."""
    for which in (0, 1):
        master.post(URL, data="1")
        old = etags(master)[which]
        master.post(URL, data="1")
        for etag, statuses in ((old, {412}), (etags(master)[which], {200, 204})):
            assert write(master, method, {"If-Match": form.format(etag, etag.strip('"'))}).status_code in statuses


@pytest.mark.parametrize("form", PROXIES)
@pytest.mark.parametrize("headers", [{}, XML])
def test_an_etag_that_a_proxy_changed_is_304(master, form, headers):
    master.post(URL, data="1")
    for url in (URL, LIST):
        etag = master.get(url, headers=headers).headers["ETag"]
        answer = master.get(url, headers={**headers, "If-None-Match": form.format(etag, etag.strip('"'))})
        assert (answer.status_code, answer.headers["ETag"]) == (304, etag)


# --- What a 412 says


@pytest.mark.parametrize("who", ["master", "webui"])
def test_a_412_has_the_current_etag(request, master, who):
    """A WebUI application, which may not read, can go on with it."""
    person = request.getfixturevalue(who)
    old = master.post(URL, data="1").headers["ETag"]
    json, xml = master.post(URL, data="2").headers["ETag"], master.get(URL, headers=XML).headers["ETag"]
    dated = {"If-Unmodified-Since": "Fri, 12 Jan 2018 11:00:00 GMT"}
    for headers in ({"If-Match": old}, {"If-None-Match": "*"}, dated):
        assert person.post(URL, data="3", headers=headers).headers["ETag"] == json
        assert person.put(URL, data="3", headers={**headers, **XML}).headers["ETag"] == xml
    assert person.post(URL, data="3", headers={"If-Match": json}).status_code == 200
    assert "ETag" not in person.post(f"{LIST}/missing", data="3", headers={"If-Match": "*"}).headers


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"If-Match": '"x"'}, "not one that If-Match names"),
        ({"If-Match": "abc"}, "no ETag in quotation marks"),
        ({"If-None-Match": "*"}, "There is a document with this tag already"),
        ({"If-Unmodified-Since": "Fri, 12 Jan 2018 11:59:59 GMT"}, "after the time in If-Unmodified-Since"),
    ],
)
def test_a_412_says_what_is_wrong(master, headers, words):
    master.post(URL, data="1")
    assert words in assert_problem(write(master, "post", headers), 412, "precondition-failed")["detail"]


def test_a_412_says_that_there_is_no_document(master):
    assert "no document" in assert_problem(write(master, "post", {"If-Match": "*"}), 412)["detail"]


# --- Dates


NOW = "Fri, 12 Jan 2018 12:00:03 GMT"


@pytest.mark.parametrize("url", [URL, LIST, URL + "/history/1"])
def test_last_modified_is_never_later_than_date(master, clock, url):
    clock.forward(days=100 * 366)
    master.post(URL, data="1")
    modified = master.get(url).headers["Last-Modified"]
    assert parsedate_to_datetime(modified) <= datetime.now(UTC)
    assert master.get(URL, headers={"If-Modified-Since": modified}).status_code == 200


@pytest.mark.parametrize("method", WRITES)
def test_if_unmodified_since(master, method, clock):
    master.post(URL, data="1")
    assert master.get(URL).headers["Last-Modified"] == NOW
    for date in ("Fri, 12 Jan 2018 12:00:02 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert_problem(write(master, method, {"If-Unmodified-Since": date}), 412, "precondition-failed")
    assert write(master, method, {"If-Unmodified-Since": NOW}).status_code in (200, 204)


@pytest.mark.parametrize("date", [NOW, "Friday, 12-Jan-18 12:00:08 GMT", "Fri Jan 12 12:00:08 2018"])
def test_every_form_of_a_date_is_read(master, date):
    master.post(URL, data="1")
    assert write(master, "post", {"If-Unmodified-Since": date}).status_code == 200


@pytest.mark.parametrize("method", WRITES)
def test_of_two_versions_in_one_second_a_date_names_neither(master, method):
    """Whoever read the first has the same date as whoever read the second."""
    master.post(URL, data="1")
    master.post(URL, data="2")
    assert_problem(write(master, method, {"If-Unmodified-Since": NOW}), 412, "precondition-failed")
    assert master.get(URL).json["metrics"] == 2


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_document_that_is_gone_was_changed_after_any_date(master, method):
    answer = write(master, method, {"If-Unmodified-Since": "Fri, 12 Jan 2035 12:00:00 GMT"})
    assert_problem(answer, 412, "precondition-failed")
    assert master.get(LIST).data == b"[]"


def test_if_match_goes_before_a_date(master):
    """As RFC 9110 says in 13.2.2: the date is for those who do not know ETags."""
    etag = master.post(URL, data="1").headers["ETag"]
    headers = {"If-Match": etag, "If-Unmodified-Since": "Fri, 12 Jan 2018 11:00:00 GMT"}
    assert write(master, "post", headers).status_code == 200


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"If-Unmodified-Since": "yesterday"},
        {"If-Unmodified-Since": ""},
        {"If-Unmodified-Since": "x" * 8000},
        {"If-Unmodified-Since": "Fri, 99 Jan 2018 12:00:00 GMT"},
        {"If-Unmodified-Since": "12 Jan 99999999999 12:00:00 GMT"},
        {"If-Unmodified-Since": "12 Jan 2018 99999999999:00:00 GMT"},
        {"If-Unmodified-Since": "12 Jan 2018 12:00:00 +99999999999"},
        {"If-None-Match": "nonsense"},
        {"If-None-Match": ""},
    ],
)
def test_a_precondition_of_a_write_that_says_nothing_is_refused(master, method, headers):
    """To ignore it could overwrite what somebody else wrote."""
    master.post(URL, data="1")
    assert_problem(write(master, method, headers), 400, "invalid-precondition")
    assert master.get(URL).json["metrics"] == 1


def test_if_modified_since(master, clock):
    master.post(URL, data="1")
    clock.forward(minutes=1)
    no_dates = ("nonsense", 200), ("12 Jan 99999999999 12:00:00 GMT", 200)
    for date, status in ((NOW, 304), ("Fri, 12 Jan 2018 12:00:02 GMT", 200), *no_dates):
        assert master.get(URL, headers={"If-Modified-Since": date}).status_code == status
    headers = {"If-Modified-Since": NOW, "If-None-Match": '"other"'}
    assert master.get(URL, headers=headers).status_code == 200
    clock.forward(minutes=-1)
    master.post(URL, data="2")
    assert master.get(URL, headers={"If-Modified-Since": NOW}).status_code == 200


def test_a_list_is_never_304_by_its_date(master):
    """The deletion of a document leaves no date in it."""
    master.post(URL, data="1")
    assert master.get(LIST, headers={"If-Modified-Since": NOW}).status_code == 200


# --- Every method, every resource

RESOURCES = [
    LIST,
    URL,
    f"{URL}/history",
    f"{URL}/history/1",
    "/api/expectations",
    "/api/expectations/custom",
    "/api/login",
    "/api/help",
    "/api/help/help",
]


@pytest.fixture
def everything(master):
    """The master operator, with something to read at each of RESOURCES."""
    master.post(URL, data="1")
    master.put("/api/expectations/custom", data='{"everySeconds": 60}')
    return master


@pytest.mark.parametrize("url", RESOURCES)
def test_if_match_on_reading(everything, url):
    answer = everything.get(url)
    assert everything.get(url, headers={"If-Match": "*"}).status_code == 200
    for etag in ('"other"', '""', '"\'"'):
        assert_problem(everything.get(url, headers={"If-Match": etag}), 412, "precondition-failed")
    if "ETag" in answer.headers:
        same = everything.get(url, headers={"If-Match": answer.headers["ETag"]})
        assert (same.status_code, same.data) == (200, answer.data)


@pytest.mark.parametrize("url", RESOURCES[:4])
def test_if_unmodified_since_on_reading(everything, url):
    early = {"If-Unmodified-Since": "Fri, 12 Jan 2018 12:00:02 GMT"}
    assert_problem(everything.get(url, headers=early), 412, "precondition-failed")
    assert everything.get(url, headers={"If-Unmodified-Since": NOW}).status_code == 200


EXPECTED = "/api/expectations/custom"


def test_an_expectation_is_written_on_a_precondition(everything):
    etag = everything.get(EXPECTED).headers["ETag"]
    assert everything.get(EXPECTED, headers={"If-None-Match": etag}).status_code == 304
    changed = everything.put(EXPECTED, data='{"everySeconds": 120}', headers={"If-Match": etag})
    assert (changed.status_code, changed.json["everySeconds"]) == (200, 120)
    for headers in ({"If-Match": etag}, {"If-None-Match": "*"}):
        refused = everything.put(EXPECTED, data='{"everySeconds": 180}', headers=headers)
        assert_problem(refused, 412, "precondition-failed")
        assert refused.headers["ETag"] == changed.headers["ETag"]
        assert_problem(everything.delete(EXPECTED, headers=headers), 412, "precondition-failed")
    assert everything.get(EXPECTED).data == changed.data
    dated = {"If-Unmodified-Since": "Fri, 12 Jan 2035 12:00:00 GMT"}
    assert_problem(everything.delete(EXPECTED, headers=dated), 400, "invalid-precondition")
    assert everything.delete(EXPECTED, headers={"If-Match": changed.headers["ETag"]}).status_code == 204
    assert_problem(everything.put(EXPECTED, data='{"everySeconds": 60}', headers={"If-Match": "*"}), 412)
    assert everything.put(EXPECTED, data='{"everySeconds": 60}', headers={"If-None-Match": "*"}).status_code == 200


# --- Many writers


@pytest.fixture(params=[1, 4], ids=["one app", "four apps"])
def clients(request, app, master, tmp_path):
    """Test clients for eight threads, on one application or on several on the same folder, as workers are."""
    apps = [app, *[create_app(tmp_path / "instance") for _ in range(request.param - 1)]]
    return [apps[number % len(apps)].test_client(use_cookies=False) for number in range(8)]


def race(clients, headers, method="post"):
    """How many of simultaneous writers with the same headers got which status."""
    start = Barrier(len(clients))

    def run(number):
        body = {} if method == "delete" else {"data": str(number)}
        start.wait(10)
        call = getattr(clients[number], method)
        return call(URL, headers=headers, auth=("master-operator", PASSWORD), **body)

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(run, range(len(clients))))


def test_of_writers_with_the_same_if_match_one_wins(clients, master):
    etag = master.post(URL, data='"first"').headers["ETag"]
    for _ in range(5):
        answers = race(clients, {"If-Match": etag})
        winners = [answer for answer in answers if answer.status_code == 200]
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        current = master.get(URL)
        assert current.data == winners[0].data
        etag = current.headers["ETag"]


def test_of_those_who_create_one_wins(clients, master):
    for _ in range(5):
        answers = race(clients, {"If-None-Match": "*"})
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        assert [answer.data for answer in answers if answer.status_code == 200] == [master.get(URL).data]
        master.delete(URL)


def test_of_those_who_delete_one_wins(clients, master):
    etag = master.post(URL, data="1").headers["ETag"]
    answers = race(clients, {"If-Match": etag}, "delete")
    assert sorted(answer.status_code for answer in answers) == [204] + [412] * 7
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_an_empty_etag_names_no_document(master, header):
    assert master.post("/api/deploymentmetrics/custom", data="1").status_code == 200
    answer = master.post("/api/deploymentmetrics/custom", data="2", headers={header: '""'})
    assert answer.status_code == (412 if header == "If-Match" else 200)


@pytest.mark.parametrize("given, status", [('"stale"', 412), ("*", 200)])
def test_a_write_that_is_stored_with_another_one_has_its_own_precondition(master, services, given, status):
    url, answers = "/api/expectations/custom", []
    assert master.put(url, json={"everySeconds": 60}).status_code == 200

    def put():
        answers.append(master.put(url, json={"everySeconds": 120}, headers={"If-Match": given}))

    def hold(current):
        thread.start()
        until_it_waits(thread)

    thread = Thread(target=put)
    services.expectations.set("custom", 90, "alice", hold)
    thread.join()
    assert [answer.status_code for answer in answers] == [status]
    assert services.expectations.of("custom") == (120 if status == 200 else 90)
