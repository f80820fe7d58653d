"""gunicorn's master process: its settings, its workers, and the collector beside them."""

import math
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Chdir, Config
from gunicorn.workers import base
from gunicorn.workers.workertmp import WorkerTmp

from ..collector.process import CollectorProcess
from ..config.instance import check_exists
from ..config.loading import Settings, load_settings
from ..errors import SettingError
from ..telemetry.counting import IN_PROGRESS
from ..telemetry.shared_memory import Memory
from . import limits
from .accept_turns import SLOTS, forget_worker
from .log import Log
from .startup_checks import check_address, risks
from .tls import tls_files
from .worker import SIGNALS

#: How long no worker is started after one that ended within that time.
_PAUSE_SECONDS = 1
#: A master that comes to look after its workers so late stood still itself, and its workers get so long to answer it.
_STILL_SECONDS = 10
_PATIENCE_SECONDS = 20
# Not the folder of the start: a reload would end the server where that is gone by then, as an old checkout may be.
Chdir.default = None


class Heartbeat(WorkerTmp):
    """When a worker last told its master that it lives, in memory that both share.

    It needs no folder, of which a hardened container may have none that takes files, and waits for no disk. One that
    hangs as it begins is replaced too: its time counts from its start.
    """

    def __init__(self, cfg: Config) -> None:
        self._tmp = open(os.devnull, "rb")  # gunicorn closes a file
        self._told_at = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.notify()

    def notify(self) -> None:
        self._told_at[0] = time.monotonic()

    def last_update(self) -> float:
        return self._told_at[0]


base.WorkerTmp = Heartbeat


# Why each differs from gunicorn's default stands beside it.
SETTINGS: dict[str, Any] = {
    # Threads overlap the waits for the disk and keep connections alive; worker.py says why not gthread as it is.
    "worker_class": "deploymetrics.server.worker.FairThreadWorker",  # where SERVER does not say otherwise
    "logger_class": "deploymetrics.server.log.Log",
    "keepalive": limits.KEEP_SECONDS,
    "timeout": 60,  # a worker that does not answer its master for this long is replaced
    "graceful_timeout": 30,
    "worker_connections": limits.CONNECTIONS,
    "sendfile": False,  # what is sent goes into a buffer, and files here are small
    "limit_request_line": limits.REQUEST_LINE,
    "limit_request_fields": limits.HEADER_FIELDS,
    "limit_request_field_size": limits.HEADER_FIELD,
    "control_socket_disable": True,  # it would be one fixed path for all servers of an account
    "forwarded_allow_ips": "",  # the setting PROXIES decides whom to believe, also at a socket in the file system
    "forwarder_headers": "",
    "secure_scheme_headers": {},
    "umask": 0o077,
    "child_exit": lambda master, worker: master.clean_up_after(worker),
    "pre_fork": lambda master, worker: master.assign_slot(worker),
    "post_fork": lambda master, worker: master.detach(worker),
}


def granian_module() -> ModuleType:
    """Return the module of the granian worker; raises SettingError if granian is not installed."""
    try:
        return import_module("deploymetrics.server.granian_worker")
    except ImportError as error:
        raise SettingError("SERVER is granian, which is missing: pip install 'deploymetrics[granian]'.") from error


class Server(BaseApplication):
    """The gunicorn application: runs ``create_app()`` in each worker, with settings that were checked before.

    ``flags`` are settings of the command line, which go first also when the others are read anew. ``when_ready`` is
    called with the settings when the server listens. Raises SettingError.
    """

    def __init__(self, instance: Path, flags: Mapping[str, Any], when_ready: Callable[[Settings], None]) -> None:
        self.instance = instance
        self.flags = flags
        self.when_ready = when_ready
        self.memory = Memory(SLOTS, is_shared=True)
        self.settings = Settings({}, {})
        self.renew_settings()
        self.bind = self.settings["BIND"]
        check_address(self.bind)
        super().__init__()

    def renew_settings(self) -> None:
        """Read the settings again, and use them if all are valid; raises SettingError."""
        settings = load_settings(self.instance, self.flags)
        if settings["STORAGE"] != self.settings.get("STORAGE", settings["STORAGE"]):
            raise SettingError("STORAGE is read at the start only; restart the server to change it.")
        tls = tls_files(self.instance, settings["CERTFILE"], settings["KEYFILE"])
        if settings["SERVER"] == "granian":
            granian = granian_module()
            if tls:
                granian.check_certificate(settings["CERTFILE"], *(copy.path for copy in tls))
        self.settings, self.tls_files = settings, tls

    def load_config(self) -> None:
        certfile, keyfile = (copy.path for copy in self.tls_files) if self.tls_files else (None, None)
        options = {
            "bind": self.bind,
            "workers": self.settings["WORKERS"],
            "threads": self.settings["THREADS"],
            "certfile": certfile,
            "keyfile": keyfile,
            "accesslog": "-" if self.settings["ACCESS_LOG"] else None,
            "loglevel": self.settings["LOG_LEVEL"],
            "when_ready": self.on_listening,
        }
        Log.form = self.settings["LOG_FORMAT"]
        of_server = granian_module().SETTINGS if self.settings["SERVER"] == "granian" else {}
        for name, value in {**SETTINGS, **of_server, **options}.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from .. import create_app

        return create_app(self.instance, self.settings, memory=self.memory)

    def on_listening(self, master: Arbiter) -> None:
        """Set the mode of a socket in the file system, log the instance folder and risks, and call ``when_ready``."""
        if self.bind.startswith("unix:"):
            os.chmod(self.bind.removeprefix("unix:"), int(self.settings["SOCKET_MODE"], 8))
        master.log.info("The instance folder is %s", self.instance)
        for sentence in risks(self.settings):
            master.log.warning("%s", sentence)
        self.when_ready(self.settings)

    def run(self) -> None:
        """Serve until a signal ends it; does not return."""
        try:
            Master(self).run()
        except RuntimeError as error:
            raise click.ClickException(str(error)) from error


class Master(Arbiter):
    """gunicorn's master process, which starts and stops the collector as well as the workers."""

    _looked = math.inf  # when it looked after its workers last
    _patient_until = 0.0
    _next_start = 0.0  # when workers are started again, after one that ended as it began
    _outdated = 0  # the age of the newest worker with the settings from before a reload

    def __init__(self, app: Server) -> None:
        self.collector = CollectorProcess(app.instance)
        super().__init__(app)

    def is_to_collect(self) -> bool:
        """Return True if the collector is to run by the settings COLLECT and READ_ONLY."""
        return bool(self.app.settings["COLLECT"] and not self.app.settings["READ_ONLY"])

    def assign_slot(self, worker: Any) -> None:
        """Give a new worker a slot in the shared memory that no living worker has."""
        used_slots = {other.slot for other in self.WORKERS.values()}
        worker.slot = next((slot for slot in range(SLOTS) if slot not in used_slots), worker.age % SLOTS)
        worker.began = time.monotonic()

    def detach(self, worker: Any) -> None:
        """Detach a forked worker from the master: it has no collector, and counts in its own slot."""
        self.collector.abandon()  # it is the child of the master alone
        self.app.memory.own = worker.slot

    def clean_up_after(self, worker: Any) -> None:
        """Clear the slot of a worker that has ended in the shared memory; rest a while if it had just begun."""
        now = time.monotonic()
        if now - worker.began < _PAUSE_SECONDS:
            self._next_start = now + _PAUSE_SECONDS
        forget_worker(worker.slot)
        self.app.memory.clear(worker.slot, IN_PROGRESS)

    def murder_workers(self) -> None:
        """Kill workers that do not answer, unless the master stood still too, as in a container that was paused."""
        now = time.monotonic()
        if now - self._looked > _STILL_SECONDS:
            self._patient_until = now + _PATIENCE_SECONDS
        self._looked = now
        if now >= self._patient_until:
            super().murder_workers()

    def manage_workers(self) -> None:
        """Start and end workers as needed; replace one at a time those that a reload could not replace.

        A worker that cannot be started, or ends as it begins, is tried again, once a second.
        """
        is_one_too_many = len(self.WORKERS) > self.num_workers  # after a reload, which waits for it to end
        if is_one_too_many or time.monotonic() >= self._next_start:
            self._start(self._manage_workers)
        if self.is_to_collect():
            self.collector.ensure(self.app.settings)

    def _manage_workers(self) -> None:
        is_outdated = any(worker.age <= self._outdated for worker in self.WORKERS.values())
        if is_outdated and len(self.WORKERS) <= self.num_workers:
            self.spawn_worker()
        super().manage_workers()

    def _start(self, work: Callable[[], None]) -> None:
        """Call ``work``, which starts workers; log it if the system has no memory, process or file left."""
        try:
            work()
        except OSError as error:
            self.log.error("A worker is not started: %s", error.strerror)

    def spawn_worker(self) -> Any:
        """Start a worker, and hold off signals to it until it can handle them.

        One that fails as it begins ends the server only at its start. Raises OSError where there can be none.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            return super().spawn_worker()
        except SystemExit as end:  # that of the worker, which this is
            if end.code != self.WORKER_BOOT_ERROR or self.worker_age <= self.cfg.workers:
                raise
            sys.exit(1)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def reload(self) -> None:
        """Replace the workers by ones with the current settings; if those are not valid, go on as before.

        Where not all of them can be started, ``manage_workers`` goes on with it.
        """
        try:
            check_exists(self.app.instance)
            self.app.renew_settings()
        except (SettingError, OSError) as error:  # of the system where no process or file is left
            self.log.error("Not reloaded, the settings in force stay: %s", error)
            return
        if self.app.settings["BIND"] != self.app.bind:
            self.log.warning("BIND is read at the start only: still listening on %s", self.app.bind)
        self._outdated = self.worker_age
        self._start(super().reload)
        self.collector.restart(self.app.settings) if self.is_to_collect() else self.collector.stop()

    def handle_ttou(self) -> None:
        """Have one worker fewer at SIGTTOU; not with granian, where each worker has listeners of its own."""
        if self.app.settings["SERVER"] != "granian":
            super().handle_ttou()

    def stop(self, graceful: bool = True) -> None:
        self.collector.stop()
        super().stop(graceful)
