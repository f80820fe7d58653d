"""``deploymetrics serve``: gunicorn with settings that fit this service, and the first account on a first start."""

import ipaddress
import os

import click
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from ..accounts.passwords import generate_secret
from ..accounts.service import Role
from ..collector.process import CollectorProcess
from ..config import wants_collector
from ..errors import SettingError
from .worker import forget

FIRST_ACCOUNT = "admin"

# Why each differs from gunicorn's default stands beside it.
SETTINGS = {
    # Threads overlap the waits for the disk and keep connections alive; worker.py says why not gthread as it is.
    "worker_class": "deploymetrics.server.worker.FairThreadWorker",
    "keepalive": 75,  # longer than the 60 s for which nginx keeps an idle connection: never closed under a request
    "timeout": 60,  # a worker that does not answer its master for this long is replaced
    "graceful_timeout": 30,
    "worker_connections": 1000,
    "limit_request_line": 4094,
    "limit_request_fields": 64,
    "limit_request_field_size": 8190,
    "accesslog": "-",
    "access_log_format": '%(h)s %(u)s %(t)s "%(r)s" %(s)s %(B)s %(M)sms',
    "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # the heartbeat must not wait for a disk
    "control_socket_disable": True,  # it would be one fixed path for all servers of an account
    "forwarded_allow_ips": "",  # the setting PROXIES decides whom to believe
    "umask": 0o077,
    "child_exit": lambda master, worker: forget(worker),
    "post_fork": lambda master, worker: master.collector.abandon(),  # the collector is the master's child alone
}


class Master(Arbiter):
    """gunicorn's master process, which looks after the collector as it does after its workers."""

    def __init__(self, app):
        self.collector = CollectorProcess(app.instance)
        self.collects = wants_collector(app.instance)
        super().__init__(app)

    def manage_workers(self):
        super().manage_workers()
        if self.collects:
            self.collector.ensure()

    def reload(self):
        super().reload()
        self.collects = wants_collector(self.app.instance)
        self.collector.restart() if self.collects else self.collector.stop()

    def stop(self, graceful=True):
        self.collects = False
        self.collector.stop()
        super().stop(graceful)


class Server(BaseApplication):
    """gunicorn running ``create_app()`` in each worker, so that SIGHUP loads settings anew."""

    def __init__(self, options, instance):
        self.options = options
        self.instance = instance
        super().__init__()

    def load_config(self):
        for name, value in {**SETTINGS, **self.options}.items():
            try:
                self.cfg.set(name, value)
            except (ValueError, TypeError) as error:
                raise SettingError(f"gunicorn does not take {name} {value!r}: {error}") from error

    def load(self):
        from .. import create_app

        return create_app()

    def run(self):
        try:
            Master(self).run()
        except RuntimeError as error:
            raise click.ClickException(str(error)) from error


def run(options, instance):
    """Serve an instance folder until a signal ends it; does not return."""
    Server(options, instance).run()


def check_first_start(accounts, bind):
    """Refuse to serve without an account, except on a loopback address, where ``make_first_account`` makes one."""
    if not is_loopback(bind) and not accounts.exist():
        raise click.ClickException(
            f"There is no account yet, and {bind} is not a loopback address. Make one first:\n"
            f"    deploymetrics account add {FIRST_ACCOUNT} --role {Role.MASTER_OPERATOR}"
        )


def make_first_account(accounts, bind, *, tls=False):
    """With no account yet, make the master operator ``admin`` and print its password. For when the server listens:
    a start that fails must not have shown a password that nobody saw."""
    if accounts.exist():
        return
    password = generate_secret()
    accounts.add(FIRST_ACCOUNT, Role.MASTER_OPERATOR, password, by="first start")
    scheme, insecure = ("https", "-k ") if tls else ("http", "")
    click.echo(
        f"Made the master operator {FIRST_ACCOUNT} with the password {password}\n"
        f"It is not shown again. Try:\n"
        f"    curl {insecure}-u {FIRST_ACCOUNT}:{password} -d '[{{\"bla\": \"3\"}}]'"
        f" {scheme}://{bind}/api/deploymentmetrics/custom"
    )


def is_loopback(bind):
    """Whether ``HOST:PORT`` can be reached from this machine only."""
    host = bind.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
