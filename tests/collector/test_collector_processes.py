"""The collector as processes: one per deployment, whoever dies, and the command ``collect``."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from launching import ROOT, Launched, run
from storekit import newest_file
from waiting import is_running

from deploymetrics.collector.process import CollectorProcess
from deploymetrics.collector.signals import Stop
from deploymetrics.storage.files.lease import FileLease

PROBE = '''
import itertools, os, pathlib, time
from deploymetrics.sources import Source, SourceError

class Probe(Source):
    """Notes which collector asked; hangs, in Python or in C, ends or fails where a file says so."""

    def collect(self):
        print("noise")
        folder = pathlib.Path(self.context.instance)
        with open(folder / "asked", "a") as file:
            file.write(f"{os.getpid()}\\n")
        while (folder / "hang").exists():
            time.sleep(0.02)
        if (folder / "stuck").exists():
            all(itertools.repeat(True))
        if (folder / "end").exists():
            os._exit(0)
        if (folder / "fail").exists():
            raise SourceError("Down.", permanent=True)
        return {"probe": 1, "odd": "a\\x1b[2Jb\\nc"}
'''


def wait_for(what, seconds=60):
    """What ``what()`` gives, once that is true."""
    limit = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < limit, f"{what} stays {found!r}"
        time.sleep(0.02)
    return found


class Deployment:
    """An instance folder with a source of a third party, and the commands on it."""

    def __init__(self, folder):
        self.instance = folder / "instance"
        self.instance.mkdir()
        package = folder / "lib"
        info = package / "probe-1.0.dist-info"
        info.mkdir(parents=True)
        (package / "probe.py").write_text(PROBE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[deploymetrics.sources]\nprobe = probe:Probe\n")
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(package),
            "DEPLOYMETRICS_INSTANCE": str(self.instance),
            "DEPLOYMETRICS_COLLECT_INTERVAL_SECONDS": "1",
        }
        self.lock = FileLease(str(self.instance), "collector")
        self.started = []

    def run(self, *arguments):
        """A finished command."""
        return run(arguments, self.environment, self.instance)

    def start(self, *arguments):
        """A running command, in a group of its own so that nothing of it outlives the test."""
        with open(self.instance / "log", "a") as log:
            options = {"cwd": ROOT, "env": self.environment, "stdout": log, "stderr": log}
            process = Launched(arguments, **options, start_new_session=True)
        self.started.append(process)
        return process

    def serve(self, workers=2):
        process = self.start("serve", "--bind", "127.0.0.1:0", "--workers", str(workers))
        wait_for(lambda: self.log().count("Booting worker") >= workers)
        return process

    def answers(self):
        """Return once a worker answers."""
        url = re.search(r"Listening at: (\S+)", self.log())[1]
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{url}/api/login", timeout=60)

    def end(self):
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(60)

    def log(self):
        return (self.instance / "log").read_text()

    def asked(self):
        """Process ids of the collectors that asked the source, in order."""
        try:
            return [int(line) for line in (self.instance / "asked").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def collector(self, *not_these):
        """The process id of the collector that asked last, once it is none of these."""
        return wait_for(lambda: self.asked() and self.asked()[-1] not in not_these and self.asked()[-1])

    def workers(self):
        return [int(line.rpartition(" ")[2]) for line in self.log().splitlines() if "Booting worker" in line]


@pytest.fixture
def deployment(tmp_path):
    made = Deployment(tmp_path)
    yield made
    made.end()


def platform(deployment):
    path = deployment.instance / "deploymentmetrics" / "platform.json"
    return json.loads(path.read_text())["metrics"][0] if path.exists() else {}


def test_collect_once_prints_what_it_collected(deployment):
    done = deployment.run("collect")
    assert done.returncode == 0, done.stderr
    assert "probe = 1\n" in done.stdout and "number_of_tags = 0\n" in done.stdout
    assert "odd = a [2Jb c\n" in done.stdout
    assert "noise" not in done.stdout and "noise" in done.stderr
    assert platform(deployment)["probe"] == "1"


def test_collect_once_fails_with_a_source_and_status_says_why(deployment):
    deployment.run("collect")
    (deployment.instance / "fail").touch()
    done = deployment.run("collect")
    assert done.returncode == 1
    status = deployment.run("collect", "--status")
    assert status.returncode == 1
    assert "collector: not running\n" in status.stdout
    assert "probe: failed, and is not asked again soon" in status.stdout and ": Down.\n" in status.stdout
    assert platform(deployment)["probe"] == "1"


def test_a_permanent_failure_is_asked_again_with_retry_only(deployment):
    (deployment.instance / "fail").touch()
    deployment.run("collect")
    deployment.run("collect")
    assert len(deployment.asked()) == 1
    (deployment.instance / "fail").unlink()
    assert deployment.run("collect", "--retry").returncode == 0


def test_status_of_a_deployment_that_never_collected(deployment):
    status = deployment.run("collect", "--status")
    assert status.returncode == 1
    assert "server: never asked\n  last success  never\n" in status.stdout


def test_status_tells_of_a_damaged_document_and_a_damaged_record(deployment):
    deployment.run("collect")
    assert deployment.run("collect", "--status").returncode == 0
    newest_file(deployment.instance, "deploymentmetrics", "platform").write_text("{\n")
    status = deployment.run("collect", "--status")
    assert status.returncode == 1
    assert "document: The stored item 'platform' of deploymentmetrics is damaged" in status.stdout
    shutil.rmtree(deployment.instance / "data" / "deploymentmetrics" / "platform")
    newest_file(deployment.instance, "collector", "probe").write_text("{\n")
    status = deployment.run("collect", "--status")
    assert status.returncode == 1
    assert "document: last written never" in status.stdout and "probe: damaged, and not asked\n" in status.stdout


def test_status_tells_of_a_collector_that_is_overdue(deployment):
    deployment.environment["DEPLOYMETRICS_COLLECT_TIMEOUT_SECONDS"] = "20"
    deployment.run("collect")
    path = newest_file(deployment.instance, "collector", "server")
    next_attempt = re.search(r'"nextAttempt":([0-9.]+)', path.read_text())[1]
    path.write_text(path.read_text().replace(next_attempt, str(float(next_attempt) - 100)))
    status = deployment.run("collect", "--status")
    assert status.returncode == 1
    assert "server: overdue\n" in status.stdout


def test_options_that_exclude_each_other(deployment):
    assert deployment.run("collect", "--forever", "--status").returncode == 2


def test_collect_once_leaves_a_collector_at_work_alone(deployment):
    (deployment.instance / "fail").touch()
    process = deployment.start("collect", "--forever")
    deployment.collector()
    done = deployment.run("collect")
    assert done.returncode == 3
    assert f"process {process.pid} is at work" in done.stderr
    assert f"collector: process {process.pid}\n" in deployment.run("collect", "--status").stdout
    assert len(deployment.asked()) == 1
    assert f"Process {process.pid} asks the sources again" in deployment.run("collect", "--retry").stdout
    wait_for(lambda: len(deployment.asked()) == 2)


def test_a_second_collector_stands_by_and_takes_over_after_kill_9(deployment):
    first = deployment.start("collect", "--forever")
    assert deployment.collector() == first.pid
    second = deployment.start("collect", "--forever")
    third = deployment.start("collect", "--forever")
    seen = len(deployment.asked())
    wait_for(lambda: len(deployment.asked()) >= seen + 2)
    assert set(deployment.asked()) == {first.pid}
    (deployment.instance / "hang").touch()
    seen = len(deployment.asked())
    wait_for(lambda: len(deployment.asked()) > seen)
    first.kill()
    first.wait(10)
    (deployment.instance / "hang").unlink()
    assert deployment.collector(first.pid) in (second.pid, third.pid)


@pytest.mark.parametrize(("number", "hang"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_a_signal_stops_the_collector(deployment, number, hang):
    if hang:
        (deployment.instance / "hang").touch()
    process = deployment.start("collect", "--forever")
    deployment.collector()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert deployment.lock.holder() == ""


def test_serve_has_one_collector_which_outlives_a_worker_and_is_started_again_after_kill_9(deployment):
    master = deployment.serve()
    collector = deployment.collector()
    assert collector not in (master.pid, *deployment.workers())
    wait_for(lambda: "server_started" in platform(deployment))
    os.kill(deployment.workers()[0], signal.SIGKILL)
    wait_for(lambda: len(deployment.workers()) == 3)
    seen = len(deployment.asked())
    wait_for(lambda: len(deployment.asked()) > seen)
    assert set(deployment.asked()) == {collector}
    (deployment.instance / "config.py").write_text("1 / 0\n")  # not in force
    os.kill(collector, signal.SIGKILL)
    other = deployment.collector(collector)
    assert deployment.lock.holder() == str(other)


def test_a_reload_reads_the_settings_and_leaves_one_collector(deployment):
    master = deployment.serve()
    collector = deployment.collector()
    master.send_signal(signal.SIGHUP)
    other = deployment.collector(collector)
    wait_for(lambda: not is_running(collector))
    (deployment.instance / "config.py").write_text("COLLECT = False\n")
    master.send_signal(signal.SIGHUP)
    wait_for(lambda: not is_running(other))
    assert wait_for(lambda: len(deployment.workers()) >= 6)
    assert deployment.lock.holder() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_collector_ends_with_its_master(deployment, number):
    master = deployment.serve()
    collector = deployment.collector()
    if number == signal.SIGKILL:
        for worker in deployment.workers():
            os.kill(worker, signal.SIGSTOP)  # a worker that lives on must not keep the collector alive
    master.send_signal(number)
    master.wait(60)  # a worker that is still booting can miss the signal, and is killed after 30 s
    wait_for(lambda: not is_running(collector))
    assert deployment.lock.holder() == ""


def test_the_collector_ends_at_once_while_a_slow_worker_is_waited_for(deployment):
    master = deployment.serve()
    collector = deployment.collector()
    os.kill(deployment.workers()[0], signal.SIGSTOP)
    master.terminate()
    wait_for(lambda: not is_running(collector))
    assert master.poll() is None


def test_a_collector_that_is_stuck_keeps_neither_requests_nor_the_end_waiting(deployment):
    master = deployment.serve()
    collector = deployment.collector()
    os.kill(collector, signal.SIGSTOP)
    deployment.answers()
    master.terminate()
    wait_for(lambda: not is_running(collector))


def test_serve_does_not_collect_where_that_is_switched_off(deployment):
    deployment.environment["DEPLOYMETRICS_COLLECT"] = "no"
    master = deployment.serve(workers=1)
    deployment.answers()  # a worker that is still booting can miss the signal, and is killed after 30 s
    master.terminate()
    master.wait(60)
    assert deployment.asked() == []


def test_a_collector_that_cannot_start_is_not_started_all_the_time(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: started.append(args) or Dead())
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    process = CollectorProcess(tmp_path)
    for _ in range(300):
        process.ensure({})
        now[0] += 1
    assert 5 < len(started) < 15


def test_a_collector_for_which_there_is_no_process_left_is_tried_again(tmp_path, monkeypatch, caplog):
    started = []

    def start(*args, **kwargs):
        started.append(args)
        if len(started) == 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return Dead()

    monkeypatch.setattr(subprocess, "Popen", start)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    process = CollectorProcess(tmp_path)
    process.ensure({})
    assert "The collector is not started: Resource temporarily unavailable" in caplog.text
    now[0] += 10
    process.ensure({})
    assert len(started) == 2


def test_the_collector_is_of_this_package_whatever_the_current_folder_has(tmp_path, monkeypatch):
    commands = []
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", lambda command, **kwargs: commands.append(command) or Dead())
        CollectorProcess(tmp_path).ensure({})
    (tmp_path / "deploymetrics").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (tmp_path / "deploymetrics" / name).write_text("raise SystemExit('another deploymetrics')\n")
    done = subprocess.run([*commands[0], "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert "--forever" in done.stdout


class Dead:
    """A process that ended at once."""

    returncode = 1

    def __init__(self):
        self.stdin = io.BytesIO()

    def poll(self):
        return 1

    def terminate(self):
        pass

    def wait(self, seconds=None):
        return 1


def test_stop_ends_with_a_stream():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    read, write = os.pipe()
    stop = Stop().install(read)
    assert not stop.wait(0)
    os.close(write)
    assert stop.wait(20)
    os.close(read)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("file", "seconds"), [("stuck", "1"), ("end", "30")])
def test_a_source_that_ends_its_process_is_named_and_keeps_the_others_from_nothing(deployment, file, seconds):
    deployment.environment["DEPLOYMETRICS_COLLECT_TIMEOUT_SECONDS"] = seconds
    deployment.run("collect")
    (deployment.instance / file).touch()
    deployment.serve()
    first = deployment.collector()
    wait_for(lambda: not is_running(first))
    wait_for(lambda: "server_started" in platform(deployment))
    assert platform(deployment)["probe"] == "1"
    status = deployment.run("collect", "--status").stdout
    assert "The collector ended while it asked this source." in status and "server: good\n" in status
    (deployment.instance / file).unlink()
    wait_for(lambda: "probe: good\n" in deployment.run("collect", "--status").stdout)


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    """Else an account that may write there makes and overwrites files with the rights of who starts a command."""
    lock, elsewhere = FileLease(str(tmp_path), "collector"), tmp_path / "elsewhere"
    os.symlink(elsewhere, tmp_path / "locks/collector")
    for attempt in (lock.acquire, lock.holder):
        with pytest.raises(OSError):
            attempt()
    assert not elsewhere.exists()
