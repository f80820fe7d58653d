"""What all workers counted, whichever of them is asked, also after workers have ended."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from serving import Served
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.server.accept_turns import SLOTS
from deploymetrics.server.master import Master

MASTER = ("master", "correct horse battery")
DOCUMENT = "/api/deploymentmetrics/custom"


@pytest.fixture
def server(tmp_path):
    create_app(tmp_path / "instance").extensions["deploymetrics"].accounts.add(
        MASTER[0], Role.MASTER_OPERATOR, MASTER[1]
    )
    command = ("deploymetrics", "serve", "--bind", "127.0.0.1:0", "--workers", "2")
    server = Served(command, tmp_path, tmp_path / "instance").started()
    yield server
    server.end()


def counted(server, name="deploymetrics_http_requests_total", **labels):
    """The sum of the samples of a scrape that have the labels."""
    text = requests.get(f"{server.url}/metrics", auth=MASTER).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def ask(server, times):
    """Ask so often, each time over a connection of its own, so that both workers answer."""

    def work():
        for _ in range(times // 4):
            requests.get(f"{server.url}{DOCUMENT}", auth=MASTER)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_no_count_is_lost_by_workers_that_are_asked_killed_or_replaced(server):
    requests.put(f"{server.url}{DOCUMENT}", auth=MASTER, data="1")
    of_document = {"route": "/api/deploymentmetrics/<tag>", "method": "GET", "status": "200"}
    ask(server, 80)
    assert {counted(server, **of_document) for _ in range(8)} == {80}
    killed = server.workers()[0]
    os.kill(int(killed), signal.SIGKILL)
    wait_for(lambda: killed not in server.workers(), "another worker")
    assert counted(server, **of_document) == 80
    ask(server, 20)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.count("Worker exiting") >= 2, "workers with new settings")
    ask(server, 20)
    assert {counted(server, **of_document) for _ in range(4)} == {120}
    assert counted(server, method="PUT") == 1
    wait_for(lambda: counted(server, "deploymetrics_http_requests_in_progress") == 1, "no request but this one")


def test_a_worker_gets_a_slot_that_no_living_one_has():
    master = Master.__new__(Master)
    master.WORKERS = {}
    for age in range(1, 2 * SLOTS):  # one that stays, and others that are replaced again and again
        worker = SimpleNamespace(age=age)
        master.assign_slot(worker)
        assert worker.slot not in {other.slot for other in master.WORKERS.values()}
        master.WORKERS = {1: master.WORKERS.get(1, worker), 2: worker}
    master.WORKERS = {slot: SimpleNamespace(slot=slot) for slot in range(SLOTS)}
    master.assign_slot(worker)  # of more there are than anybody has, some share
    assert 0 <= worker.slot < SLOTS
