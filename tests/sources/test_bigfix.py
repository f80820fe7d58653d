"""The source ``bigfix`` against a stand-in server behind TLS."""

import importlib.util
import json
import os
import shutil
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from asking import ask
from bigfix_standin import StandIn, make_certificate
from bigfix_standin.app import PASSWORD, TOKEN, USER

from deploymetrics.collector.isolation import Outcome
from deploymetrics.config.loading import load_settings
from deploymetrics.errors import SettingError
from deploymetrics.sources import MAX_REASON, Context
from deploymetrics.sources.bigfix import BigFixSource
from deploymetrics.sources.bigfix.endpoint import Endpoint
from deploymetrics.sources.bigfix.metrics import Metric, default_metrics, metrics_of
from deploymetrics.sources.bigfix.transport import MAX_ANSWER
from deploymetrics.version import VERSION

NUMBER = [[5], False, "integer"]
ANSWERS = (
    {metric.relevance: NUMBER for metric in default_metrics()}
    | {
        metric.relevance: [[["Win10 10.0", 3], ["Linux 5.4", 2]], True, "( string, integer )"]
        for metric in default_metrics()
        if metric.answer == "counts"
    }
    | {metric.relevance: [["with/slash"], False, "string"] for metric in default_metrics() if metric.answer == "text"}
    | {
        "expiration date of bes license": [["Thu, 01 Jan 2026 00:00:00 +0000"], False, "time"],
        "webui enabled": [[True], False, "boolean"],
    }
)
NAMES = [metric.name for metric in default_metrics()]
NOTHING = "Singular expression refers to nonexistent object."
NO_PAIRS = "The answers are not pairs of a text and a number."
COUNTS = next(metric.relevance for metric in default_metrics() if metric.answer == "counts")


@pytest.fixture(autouse=True)
def no_search(monkeypatch):
    """Spare httpcore the search for a package that is not installed, at each request: a third of its time."""
    if importlib.util.find_spec("sniffio") is None:
        monkeypatch.setitem(sys.modules, "sniffio", None)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Three stand-ins: one whose certificate names nobody, one whose names its address, one whose that one signed."""
    made, signer = [], None
    for name, address in (("other-name", None), ("named", "127.0.0.1"), ("signed", "127.0.0.1")):
        folder = tmp_path_factory.mktemp(name)
        certificate = make_certificate(folder, name, address, signer if name == "signed" else None)
        made.append(StandIn(folder, certificate))
        signer = certificate
    for server in made:  # some tests have little time, and none of it for a start
        ssl.get_server_certificate(server.socket.getsockname(), timeout=60)
    yield made
    for server in made:
        server.stop()


@pytest.fixture
def server(servers):
    servers[0].behave(ANSWERS)
    return servers[0]


@pytest.fixture
def source(server, tmp_path):
    """Make the source for the server, with further settings."""

    def make(**settings):
        pinned = {
            "BIGFIX_SERVER": server.url,
            "BIGFIX_FINGERPRINT": server.fingerprint,
            "BIGFIX_USER": USER,
            "BIGFIX_PASSWORD": PASSWORD,
        }
        return BigFixSource(Context(load_settings(tmp_path, pinned | settings), str(tmp_path), None, None, None))

    return make


def queries(server):
    return [kind for _, path, kind, _ in server.requests() if path == "/api/query"]


def test_right_answers_by_name(source):
    outcome = ask("bigfix", source())
    assert (outcome.error, outcome.failed, outcome.warning) == ("", {}, "")
    assert list(outcome.values) == NAMES
    assert outcome.values["number_of_endpoints"] == "5"
    assert outcome.values["endpoints_by_operating_system"] == {"Win10 10.0": "3", "Linux 5.4": "2"}
    assert outcome.values["license_expiration"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert outcome.values["webui_enabled"] == "True"
    assert outcome.values["bigfix_version"] == "with/slash"
    assert outcome.asked == dict.fromkeys(NAMES, 1000.0)


def test_we_say_who_we_are(source, server):
    ask("bigfix", source())
    assert {agent for *_, agent in server.requests()} == {f"deploymetrics/{VERSION}"}


def test_a_bearer_token(source):
    assert ask("bigfix", source(BIGFIX_USER="", BIGFIX_PASSWORD="", BIGFIX_TOKEN=TOKEN)).error == ""


def test_without_an_explorer_the_form_is_used_and_the_503_met_once(source, server):
    server.behave(ANSWERS, mode="no_explorer")
    outcome = ask("bigfix", source())
    assert (outcome.error, outcome.failed) == ("", {})
    assert queries(server).count("application/json+relevance") == 1


@pytest.mark.parametrize(
    ("before", "mode", "retries"),
    [
        ("right", "no_explorer", 1),  # the JSON that is refused when the Explorer is gone
        (
            "no_explorer",
            "right",
            2,
        ),  # the JSON that is refused at first, and the form that is when the Explorer is there
    ],
)
def test_an_explorer_that_comes_or_goes_costs_no_metric(source, server, before, mode, retries):
    server.behave(ANSWERS, before=before, mode=mode, after=7)
    outcome = ask("bigfix", source())
    assert (outcome.error, outcome.failed, list(outcome.values)) == ("", {}, NAMES)
    assert len(queries(server)) == len(NAMES) + retries


def test_an_explorer_that_comes_while_the_relevance_is_json(source, server):
    server.behave({"1": NUMBER, "2": NUMBER}, before="no_explorer", mode="right", after=2)
    outcome = ask("bigfix", source(BIGFIX_METRICS=dict.fromkeys(NAMES) | {"a": "1", "b": "2"}))
    assert (outcome.error, outcome.failed, outcome.values) == ("", {}, {"a": "5", "b": "5"})


def test_the_table_is_extended_replaced_and_trimmed(source, server):
    names = [["A", "B"], True, "string"]
    server.behave(ANSWERS | {"names of bes sites": names, "7": [[7], False, "integer"]})
    changes = {"site_names": "names of bes sites", "number_of_endpoints": "7", "webui_enabled": None}
    outcome = ask("bigfix", source(BIGFIX_METRICS=changes))
    assert outcome.values["site_names"] == ["A", "B"]
    assert outcome.values["number_of_endpoints"] == "7"
    assert "webui_enabled" not in outcome.values


def test_a_changed_metric_keeps_its_place_and_kind_unless_that_is_changed_too(tmp_path):
    changes = {
        "number_of_endpoints": "7",
        "number_of_roles": {"every": 60},
        "site_names": {"relevance": "x", "every": 9},
        "open_actions": {"relevance": "y", "answer": "any"},
    }
    changed = metrics_of(load_settings(tmp_path, {"BIGFIX_METRICS": changes}))
    assert changed[0] == Metric("number_of_endpoints", "7", "number", 300)
    assert Metric("number_of_roles", "number of bes roles", "number", 60) in changed
    assert Metric("open_actions", "y", "any", 300) in changed
    assert changed[-1] == Metric("site_names", "x", "any", 9)


@pytest.mark.parametrize("change", [5, [], {"answer": "numbers"}, {"every": -1}, {"other": 1}, {"relevance": ""}])
def test_a_change_of_the_table_that_makes_no_sense_is_refused(tmp_path, change):
    with pytest.raises(SettingError, match="BIGFIX_METRICS"):
        load_settings(tmp_path, {"BIGFIX_METRICS": {"number_of_roles": change}})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"a": {"every": -1, "other": 1}}, "a: value: every: Must be greater than .* other: Unknown field"),
        ({1: {"every": 2}}, "1: key: Not a valid string"),
    ],
)
def test_what_makes_no_sense_is_named_with_the_reason(tmp_path, changes, sentence):
    with pytest.raises(SettingError, match=sentence):
        load_settings(tmp_path, {"BIGFIX_METRICS": changes})


def test_a_metric_with_a_name_that_cannot_be_printed_is_refused(tmp_path):
    with pytest.raises(SettingError, match="BIGFIX_METRICS"):
        load_settings(tmp_path, {"BIGFIX_METRICS": {"two\nlines": "1"}})


def test_the_table_in_the_environment_is_json(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOYMETRICS_BIGFIX_METRICS", json.dumps({"number_of_roles": None}))
    assert "number_of_roles" not in [metric.name for metric in metrics_of(load_settings(tmp_path))]


@pytest.mark.parametrize(
    ("relevance", "answer", "reason"),
    [
        ("maximum of relay distances of bes computers", [NOTHING, False, "error"], NOTHING),
        ("number of bes roles", [["banana"], False, "string"], "The answer is not a whole number."),
        ("number of bes roles", [[True], False, "boolean"], "The answer is not a whole number."),
        ("number of bes roles", [[], False, "integer"], "There are 0 answers in place of one."),
        ("number of bes roles", [[1, 2], True, "integer"], "There are 2 answers in place of one."),
        ("webui enabled", [[None], False, ""], "The answer is not a text."),
        ("expiration date of bes license", [[float("nan")], False, ""], "The answer is not a text."),
        (
            "number of bes roles",
            [[["a", 1], ["b", 2]], True, "( string, integer )"],
            "There are 2 answers in place of one.",
        ),
        ("number of bes computers", [[["a", 1]], True, "( string, integer )"], "The answer is not a whole number."),
        ("webui enabled", [[["a", "b"]], True, "( string, string )"], "The answer is not a text."),
        (COUNTS, [[[1, "a"], [2, "b"]], True, "( integer, string )"], NO_PAIRS),
        (COUNTS, [[["a", "b"]], True, "( string, string )"], NO_PAIRS),
        (COUNTS, [[["a", True]], True, "( string, boolean )"], NO_PAIRS),
        (COUNTS, [[["a", -1]], True, "( string, integer )"], NO_PAIRS),
        (COUNTS, [[[1, 2]], True, "( integer, integer )"], NO_PAIRS),
        (COUNTS, [[["a", 1, 2]], True, "( string, integer, integer )"], NO_PAIRS),
        ("expiration date of bes license", [["\ud800"], False, "string"], "A text holds half of a surrogate pair."),
        (
            "webui enabled",
            [["x" * 2**20], False, "string"],
            "The values of the source take more than 1048576 bytes, this one 1048578.",
        ),
        (COUNTS, [[["a", float("nan")]], True, ""], NO_PAIRS),
        (COUNTS, [["Linux"], True, "string"], NO_PAIRS),
        (COUNTS, [[["a", 1], ["a", 2]], True, "( string, integer )"], "The answers name something twice."),
    ],
)
def test_a_bad_answer_to_one_expression_costs_that_metric_only(source, server, relevance, answer, reason):
    server.behave(ANSWERS | {relevance: answer})
    outcome = ask("bigfix", source())
    name = next(metric.name for metric in default_metrics() if metric.relevance == relevance)
    assert outcome.failed == {name: reason}
    assert len(outcome.values) == len(default_metrics()) - 1


def test_nothing_but_relevance_errors_is_a_failure(source, server):
    server.behave({})
    assert ask("bigfix", source()).error.startswith("Every metric failed")


WRONG = [
    "cut_off",
    "cut_json",
    "login_page",
    "no_result",
    "broken",
    "endless",
    "compressed",
    "redirect",
    "deep",
    "list",
    "odd_result",
]


@pytest.mark.parametrize("mode", WRONG)
def test_a_wrong_or_half_answer_costs_that_metric_only_and_is_named(source, server, mode):
    server.behave(ANSWERS, modes={"number of bes computers": mode, "number of bes roles": mode, "webui enabled": mode})
    outcome = ask("bigfix", source())
    assert outcome.error == ""
    assert list(outcome.failed) == ["number_of_endpoints", "number_of_roles", "webui_enabled"]
    assert all(reason.startswith("BigFix: ") for reason in outcome.failed.values())
    assert len(outcome.values) == len(NAMES) - 3


@pytest.mark.parametrize("mode", ["broken", "deep", "cut_off"])
def test_three_failures_in_a_row_end_the_round_and_keep_what_was_found(source, server, mode):
    server.behave(ANSWERS, mode=mode, after=7)
    outcome = ask("bigfix", source())
    assert (outcome.error, list(outcome.values), list(outcome.failed)) == ("", NAMES[:7], NAMES[7:10])
    assert len(queries(server)) == 10
    server.behave(ANSWERS)
    following = ask("bigfix", source(), now=1001.0, asked=outcome.asked, failed=outcome.failed)
    assert list(following.values) == NAMES[10:] + NAMES[7:10]


def test_a_server_that_answers_nothing_is_a_failure_to_be_tried_again(source, server):
    server.behave(ANSWERS, mode="broken")
    outcome = ask("bigfix", source())
    assert outcome.error.startswith("No metric could be collected; number_of_endpoints: BigFix: http: ")
    assert not outcome.permanent and len(queries(server)) == 3


def test_relevance_errors_in_a_row_end_no_round(source, server):
    server.behave({metric.relevance: ANSWERS[metric.relevance] for metric in default_metrics()[5:]})
    outcome = ask("bigfix", source())
    assert (outcome.error, list(outcome.failed), list(outcome.values)) == ("", NAMES[:5], NAMES[5:])


def test_near_the_deadline_it_stops_and_the_next_rounds_begin_with_the_rest(source, server):
    server.behave(ANSWERS, mode="sluggish", seconds=0.1)
    known, values = {"asked": {}}, []
    for number in range(3 * len(NAMES)):
        outcome = ask("bigfix", source(), seconds=1, now=1000.0 + number, **known)
        assert outcome.failed == {} and not (outcome.error and outcome.values)
        values += outcome.values  # none where this machine is too busy for an answer in time
        known = {"asked": outcome.asked}
        if len(values) >= len(NAMES):
            break
    assert values == NAMES and number > 1


def test_metrics_are_asked_after_their_time(source, server):
    ask("bigfix", source())
    asked = dict.fromkeys(NAMES, 1000.0)
    for seconds, every in ((10, 0), (300, 300), (3600, 3600), (86400, 86400)):
        outcome = ask("bigfix", source(), now=1000.0 + seconds, asked=asked)
        assert list(outcome.values) == [metric.name for metric in default_metrics() if metric.every <= every]
        assert outcome.asked.keys() == set(NAMES)


def test_what_failed_is_asked_again_at_once_and_last(source, server):
    asked = dict.fromkeys(NAMES, 1000.0) | {"number_of_roles": 0.0}
    outcome = ask("bigfix", source(), now=1010.0, asked=asked, failed={"number_of_endpoints": "No."}, warning="Beware.")
    assert list(outcome.values) == ["number_of_roles", "number_of_endpoints"]


def test_a_round_in_which_nothing_is_due_asks_nothing(source, server):
    outcome = ask("bigfix", source(), asked=dict.fromkeys(NAMES, 1000.0), warning="Beware.")
    assert (outcome.error, outcome.values, outcome.warning) == ("", {}, "Beware.")
    assert server.requests() == []


def test_the_first_metric_is_the_number_of_endpoints(source, server):
    server.behave(ANSWERS, mode="broken", after=1)
    assert ask("bigfix", source()).values == {"number_of_endpoints": "5"}


@pytest.mark.parametrize("mode", ["locked", "forbidden"])
def test_credentials_that_are_refused_during_a_round_keep_what_was_found(source, server, mode):
    server.behave(ANSWERS, mode=mode, after=7)
    outcome = ask("bigfix", source())
    assert outcome.permanent and "authentication" in outcome.error and list(outcome.values) == NAMES[:7]
    assert len(server.requests()) == 8


@pytest.mark.parametrize("mode", ["locked", "forbidden"])
def test_refused_credentials_are_permanent_and_tried_once(source, server, mode):
    server.behave(ANSWERS, mode=mode)
    outcome = ask("bigfix", source())
    assert outcome.permanent and "authentication" in outcome.error
    assert len(server.requests()) == 1


def test_a_wrong_password_is_permanent_and_tried_once(source, server):
    assert ask("bigfix", source(BIGFIX_PASSWORD="guess")).permanent
    assert len(server.requests()) == 1


def test_an_account_that_is_no_master_operator_is_warned_of(source, server):
    server.behave(ANSWERS, master=False)
    outcome = ask("bigfix", source())
    assert "not a master operator" in outcome.warning
    assert len(outcome.values) == len(default_metrics())


def test_a_query_that_takes_too_long_costs_that_metric_only(source, server):
    server.behave(ANSWERS, modes={"number of bes roles": "slow"})
    outcome = ask("bigfix", source(BIGFIX_QUERY_SECONDS=1))
    server.release()
    assert list(outcome.failed) == ["number_of_roles"] and "timeout" in outcome.failed["number_of_roles"]
    assert len(outcome.values) == len(NAMES) - 1


def test_an_answer_that_comes_byte_by_byte_is_given_up(source, server):
    server.behave(ANSWERS, modes={"number of bes roles": "dripping"})
    outcome = ask("bigfix", source(BIGFIX_CONNECT_SECONDS=1, BIGFIX_QUERY_SECONDS=1))
    server.release()
    assert outcome.failed == {"number_of_roles": "BigFix: timeout: the answer took more than 2 seconds."}


def test_an_answer_for_which_too_little_time_is_left_comes_first_in_the_next_round(source, server):
    server.behave({"1": NUMBER, "2": NUMBER, "3": NUMBER}, modes={"2": "slow"})
    made = source(BIGFIX_METRICS=dict.fromkeys(NAMES) | {"a": "1", "b": "2", "c": "3"})
    outcome = ask("bigfix", made, seconds=2)
    assert (outcome.values, outcome.failed, outcome.asked) == ({"a": "5"}, {}, {"a": 1000.0, "b": 0.0, "c": 0.0})
    outcome = ask("bigfix", made, seconds=2, now=1001.0, asked=outcome.asked)
    assert outcome.failed == {"b": "BigFix: timeout: the answer took more than 2 seconds."}
    outcome = ask("bigfix", made, seconds=2, now=1002.0, asked=outcome.asked, failed=outcome.failed)
    server.release()
    assert list(outcome.values) == ["c", "a"]


def test_an_answer_without_an_end_is_not_read_to_it(source, server):
    server.behave(ANSWERS, mode="endless")
    assert f"BigFix: http: the answer is larger than {MAX_ANSWER} bytes." in ask("bigfix", source()).error


def test_a_compressed_answer_is_not_unpacked(source, server):
    server.behave(ANSWERS, mode="compressed")
    assert "compressed" in ask("bigfix", source()).error


def test_nobody_there_is_a_failure_to_be_tried_again(source):
    outcome = ask("bigfix", source(BIGFIX_SERVER="https://127.0.0.1:1"))
    assert "BigFix: connection: cannot connect" in outcome.error
    assert not outcome.permanent


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_breaks_off_the_handshake_is_a_failure_to_be_tried_again(source, servers, words):
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        broken_off = thread.submit(break_off, listening, words)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        settings = {"BIGFIX_FINGERPRINT": "", "BIGFIX_CA_FILE": str(servers[1].certfile)}
        outcome = ask("bigfix", source(BIGFIX_SERVER=url, **settings))
        broken_off.result(20)
    assert outcome.error and not outcome.permanent


def break_off(listening, words):
    """Take three connections, say something on each and close it, as a server does that is being restarted."""
    for _ in range(3):
        with listening.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(words)


def test_another_certificate_than_the_pinned_one_gets_no_credentials(source, server, servers):
    outcome = ask("bigfix", source(BIGFIX_FINGERPRINT=servers[1].fingerprint))
    assert outcome.permanent and "another certificate" in outcome.error
    assert server.requests() == []


def test_a_certificate_that_the_pinned_one_signed_gets_no_credentials(source, servers):
    assert ask("bigfix", source(BIGFIX_SERVER=servers[2].url)).permanent
    outcome = ask("bigfix", source(BIGFIX_SERVER=servers[2].url, BIGFIX_FINGERPRINT=servers[1].fingerprint))
    assert outcome.permanent and "another certificate" in outcome.error
    assert servers[2].requests() == []
    servers[2].behave(ANSWERS)
    assert ask("bigfix", source(BIGFIX_SERVER=servers[2].url, BIGFIX_FINGERPRINT=servers[2].fingerprint)).error == ""


def answer_once(listening, certificate):
    """Answer one request on one connection, and close it; what was sent over it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with listening.accept()[0] as plain, suppress(OSError):
        with context.wrap_socket(plain, server_side=True) as connection:
            sent = connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{"result":[5]}')
            connection.settimeout(5)
            with suppress(OSError):  # else what the client said last, and nobody read, would cut off the answer
                connection.unwrap()
            return sent
    return b""


def test_the_certificate_of_each_connection_is_looked_at(source, servers):
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        listening.settimeout(20)
        sent = [thread.submit(answer_once, listening, (server.certfile, server.keyfile)) for server in servers[:2]]
        outcome = ask("bigfix", source(BIGFIX_SERVER=f"https://127.0.0.1:{listening.getsockname()[1]}"))
        first, second = (future.result(20) for future in sent)
    assert outcome.permanent and outcome.values == {"number_of_endpoints": "5"}
    assert b"Authorization" in first and second == b""


def test_an_unknown_certificate_is_refused_and_its_fingerprint_told(source, server):
    outcome = ask("bigfix", source(BIGFIX_FINGERPRINT=""))
    assert outcome.permanent
    assert server.fingerprint.upper() in outcome.error.replace(":", "")
    assert server.requests() == []


def test_a_fingerprint_with_colons(source, server):
    colons = ":".join(server.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    assert ask("bigfix", source(BIGFIX_FINGERPRINT=colons)).error == ""


def test_a_ca_file(source, servers, tmp_path):
    named = servers[1]
    named.behave(ANSWERS)
    settings = {"BIGFIX_SERVER": named.url, "BIGFIX_FINGERPRINT": "", "BIGFIX_CA_FILE": str(named.certfile)}
    assert ask("bigfix", source(**settings)).error == ""
    shutil.copy(named.certfile, tmp_path / "ca.pem")
    assert ask("bigfix", source(**settings | {"BIGFIX_CA_FILE": "ca.pem"})).error == ""


def test_a_ca_file_that_is_not_there(source):
    outcome = ask("bigfix", source(BIGFIX_FINGERPRINT="", BIGFIX_CA_FILE="/nowhere/ca.pem"))
    assert outcome.error == "BIGFIX_CA_FILE cannot be used: No such file or directory."


@pytest.mark.parametrize("url", ["http://h:1", "127.0.0.1", "https://u:p@127.0.0.1", "https://h:x", "https://h/x"])
def test_addresses_that_are_refused(source, url):
    with pytest.raises(SettingError, match="BIGFIX_SERVER .*not of the form"):
        source(BIGFIX_SERVER=url)


@pytest.fixture
def credentials(source, tmp_path):
    """Write a credentials file, and give the source that uses it."""

    def make(text, mode=0o600):
        path = tmp_path / "bigfix"
        path.write_text(text)
        os.chmod(path, mode)
        return source(BIGFIX_USER="", BIGFIX_PASSWORD="", BIGFIX_CREDENTIALS_FILE="bigfix")

    return make


@pytest.mark.parametrize("line", [f"{USER}:{PASSWORD}\n", f"Bearer {TOKEN}"])
def test_a_credentials_file(credentials, line):
    assert ask("bigfix", credentials(line)).error == ""


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_credentials_file_that_others_may_use_is_refused(credentials, server, mode):
    outcome = ask("bigfix", credentials(f"{USER}:{PASSWORD}", mode))
    assert outcome.permanent and "0600" in outcome.error
    assert server.requests() == []


@pytest.mark.parametrize("line", ["", "no colon", "user:", "user:with\x07bell"])
def test_a_credentials_file_without_usable_credentials(credentials, line):
    outcome = ask("bigfix", credentials(line))
    assert outcome.permanent and outcome.error


def test_without_the_library_the_error_says_what_to_install_and_ends_when_it_is(source, monkeypatch):
    installed = source().configuration()
    monkeypatch.setitem(sys.modules, "bigfix_remote_session_relevance", None)
    outcome = ask("bigfix", source())
    assert outcome.permanent and "deploymetrics[bigfix]" in outcome.error
    assert source().configuration() != installed


def test_a_changed_file_of_authorities_is_another_configuration(source, tmp_path):
    seen = [source(BIGFIX_CA_FILE="ca.pem").configuration()]
    for text in ("one", "other"):
        (tmp_path / "ca.pem").write_text(text)
        seen.append(source(BIGFIX_CA_FILE="ca.pem").configuration())
        assert seen[-1] not in seen[:-1]


def test_a_credentials_file_that_is_not_utf_8(credentials, tmp_path):
    source = credentials("")
    (tmp_path / "bigfix").write_bytes("reader:wörd".encode("latin-1"))
    assert ask("bigfix", source) == Outcome(error="BIGFIX_CREDENTIALS_FILE is not in UTF-8.", permanent=True)
    assert source.configuration()["access"] == "BIGFIX_CREDENTIALS_FILE is not in UTF-8."


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_credentials_file_that_is_no_file(source, tmp_path, make):
    make(tmp_path / "bigfix", 0o600)
    outcome = ask("bigfix", source(BIGFIX_CREDENTIALS_FILE="bigfix"), seconds=10)
    assert outcome.permanent and outcome.error.startswith("BIGFIX_CREDENTIALS_FILE ")


@pytest.mark.parametrize("name", ["BIGFIX_PASSWORD", "BIGFIX_TOKEN"])
def test_secrets_in_a_config_that_others_may_read_are_refused(tmp_path, name):
    path = tmp_path / "config.py"
    path.write_text(f"{name} = 'hunter2'\n")
    os.chmod(path, 0o640)
    with pytest.raises(SettingError, match=f"config.py holds {name}") as raised:
        load_settings(tmp_path)
    assert "hunter2" not in str(raised.value)
    os.chmod(path, 0o600)
    assert load_settings(tmp_path)[name] == "hunter2"


def test_a_changed_credentials_file_is_another_configuration(credentials):
    before = credentials("a:one").configuration()
    assert credentials("a:two").configuration() != before
    assert credentials("a:one").configuration() == before


@pytest.mark.parametrize("mode", ["echo", "echo_error"])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_secrets_that_the_server_repeats_are_hidden(source, server, mode, token, caplog):
    server.behave(ANSWERS, mode=mode)
    outcome = ask("bigfix", source(BIGFIX_TOKEN=token))
    shown = repr(outcome) + caplog.text
    assert "(secret)" in shown
    header = "cmVhZGVyOnBhc3M"  # how the Basic credentials begin
    assert not any(secret in shown for secret in (TOKEN, header) if token or secret != TOKEN)
    assert token or PASSWORD not in shown


@pytest.mark.parametrize("padding", range(MAX_REASON - 15, MAX_REASON + 1, 3))
def test_a_secret_that_a_cut_would_halve_is_hidden(source, server, padding):
    before = len("No metric could be collected; number_of_endpoints: BigFix: http: ")
    server.behave(ANSWERS, mode="echo_late", padding=padding - before)
    error = ask("bigfix", source()).error
    assert "xxx" in error and "pass" not in error


def test_an_answer_that_repeats_the_password_is_none(source, server):
    server.behave(ANSWERS, mode="echo_answer", after=1)
    outcome = ask("bigfix", source())
    assert outcome.values == {"number_of_endpoints": "5"}
    assert set(outcome.failed.values()) == {"The answer repeats the credentials."}


@pytest.mark.parametrize("text", ["a  b/c", "a b/c", "a%20%20b%2Fc", "me:a  b/c", "bWU6YSAgYi9j"])
def test_every_form_of_a_secret_is_found(text):
    access = Endpoint("https://h", "h", 52311, "me", "a  b/c", "")
    assert access.redact(f"<{text}>") in ("<(secret)>", "<me:(secret)>")
    assert access.is_repeated_in([("x", text)]) and not access.is_repeated_in(["abc", 5])


@pytest.mark.parametrize("metric", default_metrics(), ids=lambda metric: metric.name)
def test_every_default_expression_is_one_that_the_rest_api_knows(metric):
    """The analyzer has tables of the inspectors that real servers list, and derives the type of the answer."""
    from bigfix_relevance_analyzer import Dialect, analyze_relevance

    report = analyze_relevance(metric.relevance, Dialect.SESSION)
    types = report.to_dict()["types"]
    expected = {"number": ["integer"], "counts": ["( string, integer )"]}
    assert report.valid and not report.unknown_references and types["ok"]
    assert "session:rest_api" in report.platforms
    assert types["types"] in [expected.get(metric.answer, [kind]) for kind in ("string", "time", "boolean")]
    assert types["plurality"] == ("plural" if metric.answer == "counts" else "singular")
