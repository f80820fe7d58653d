"""The id of a request: in its answer, its error and the log, and a proxy's where one is trusted."""

import re

import pytest
from accesskit import LIST, URL
from problems import assert_problem

HEADER = "X-Request-ID"
OURS = re.compile("[0-9a-f]{16}")


def test_every_answer_has_one_of_its_own(app, master, nobody, pages):
    master.put(URL, data="1")
    answers = [master.get(URL), master.get(LIST), master.put(URL, data="2"), master.delete(URL), nobody.get("/login")]
    answers += [nobody.get("/"), nobody.get("/static/icon.svg"), pages.get("/nothing"), nobody.get(URL)]
    for answer in answers:
        answer.close()
    ids = [answer.headers[HEADER] for answer in answers]
    assert all(map(OURS.fullmatch, ids)) and len(set(ids)) == len(ids)


def test_an_error_names_it_whatever_its_form(master, pages):
    assert_problem(master.get("/api/deploymentmetrics/none"), 404)
    assert_problem(master.get("/api/deploymentmetrics/none?output=xml"), 404, form="xml")
    page = pages.get("/nothing")
    assert page.headers[HEADER] in page.text


def test_the_log_of_an_error_names_it(master, services, monkeypatch, caplog):
    monkeypatch.setattr(services.documents, "get", lambda tag: 1 / 0)
    problem = assert_problem(master.get(URL), 500, "internal-error")
    assert [record.requestId for record in caplog.records] == [problem["requestId"]]
    assert problem["requestId"] in caplog.text


def test_strangers_do_not_choose_it(master):
    assert OURS.fullmatch(master.get(LIST, headers={HEADER: "chosen"}).headers[HEADER])


@pytest.mark.parametrize("app_settings", [{"PROXIES": 1}])
@pytest.mark.parametrize("sent", ["0af7651916cd43dd8448eb211c80319c", "a-b_c.d:e/f+g=h@i", "x" * 128])
def test_a_trusted_proxy_chooses_it(master, sent):
    for path in (LIST, "/api/nothing"):
        assert master.get(path, headers={HEADER: sent}).headers[HEADER] == sent
    assert assert_problem(master.get("/api/nothing", headers={HEADER: sent}), 404)["requestId"] == sent


@pytest.mark.parametrize("app_settings", [{"PROXIES": 1}])
@pytest.mark.parametrize("sent", ["", "x" * 129, "two words", "a\x1b[31m", "é", 'a"b'])
def test_nonsense_of_a_proxy_is_replaced(master, sent):
    assert OURS.fullmatch(master.get(LIST, headers={HEADER: sent}).headers[HEADER])
