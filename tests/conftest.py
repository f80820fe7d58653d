"""Fixtures: an application on an empty instance folder, a clock that tests set, and a client per role."""

import gc
import itertools
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from both_paths import BothPaths
from compiled import compile_once
from filesystems import FILE_SYSTEMS, folder_on
from hashing import hash_quickly
from shares import in_shares
from storekit import BACKENDS, THINGS, open_files

from deploymetrics import create_app
from deploymetrics.accounts import passwords
from deploymetrics.accounts.service import Role
from deploymetrics.clock import Clock

PASSWORD = "correct horse battery"

# How the names begin of tests that start processes or a browser, or take seconds; ``make test-fast`` leaves them out.
SLOW = tuple(
    f"tests/{name}"
    for name in (
        "accounts/test_remembering.py::test_a_password_is_hashed_anew",
        "accounts/test_remembering.py::test_an_import",
        "api/test_help_openapi.py::test_a_generated_client",
        "api/test_help_openapi.py::test_the_document_is_valid",
        "api/test_schemathesis",
        "browser/",
        "cli/test_documents.py::test_a_tag_cannot_steer",
        "collector/test_collector_processes",
        "crash/",
        "deploy/test_monitoring.py::test_promtool",
        "deploy/test_proxies",
        "deploy/test_scale",
        "deploy/test_signed_on_by_nginx",
        "documents/test_series.py::test_many_numbers",
        "documents/test_transfer.py::test_an_import_of_a_long_history",
        "documents/test_transfer.py::test_of_a_file_that_is_no_export",
        "documents/test_versions",
        "formats/test_besxml.py::test_every_value",
        "formats/test_besxml_cost",
        "formats/test_rawjson.py::test_a_hostile_mebibyte",
        "http/test_access_matrix",
        "http/test_fuzzed_headers",
        "http/test_headers.py::test_a_header_costs",
        "http/test_security_headers.py::test_every_answer",
        "http/test_security_headers.py::test_over_https",
        "http/test_spending",
        "http/test_streaming",
        "server/",
        "sources/",
        "storage/",
        "telemetry/test_document_metrics",
        "test_architecture.py::test_what_only_some_requests_need",
        "test_moved_instance",
        "test_package",
        "test_readme.py::test_every",
        "test_readme.py::test_zsh",
        "test_upgrade",
        "web/test_pages.py::test_large_documents",
    )
)

_NUMBERS = itertools.count()

compile_once()
hash_quickly()

# No setting of the machine reaches a test.
for name in [name for name in os.environ if name.startswith("DEPLOYMETRICS_")]:
    del os.environ[name]

# Of the folders of tests only ``on_disk`` is about a disk; elsewhere nobody waits for one, where memory has the room.
# Databases are there too: these are most of what takes room.
if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 4 * 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")


def pytest_ignore_collect(collection_path, config):
    """Spare the import of what is slow as a whole where no slow test is wanted."""
    name = f"{collection_path.relative_to(config.rootpath)}/"
    return True if config.option.markexpr == "not slow" and name.startswith(SLOW) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spare the search for garbage in what all tests share, and search in larger heaps: an application is one."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000)
        gc.enable()


def pytest_collection_modifyitems(items):
    """Mark as slow what SLOW names, and begin with that where several processes share the tests."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    if number := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
        items[:] = in_shares(items, number)


class HeldClock(Clock):
    """A clock that stands still until it is moved on."""

    def __init__(self):
        self.at = datetime(2018, 1, 12, 12, 0, 3, 123456, UTC)

    def now(self):
        return self.at

    def forward(self, **delta):
        """Move on by a timedelta's arguments."""
        self.at += timedelta(**delta)


@pytest.fixture
def clock():
    return HeldClock()


@pytest.fixture
def folder(tmp_path):
    """An instance folder that is not there yet."""
    return tmp_path / "instance"


@pytest.fixture
def store(folder, clock):
    """A storage on it, with the held clock."""
    return open_files(folder, clock)


@pytest.fixture
def things(folder, store):
    """The folder of the kind things, there already."""
    store.items(THINGS)
    return folder / "things"


def missing(what):
    """Skip the test, or fail it in CI."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="session")
def cluster():
    """A server of PostgreSQL for all tests of this process."""
    import postgres

    if what := postgres.missing():
        missing(what)
    with postgres.running(**postgres.QUICK) as cluster:
        os.environ[postgres.SERVER] = postgres.socket_of(cluster)
        yield cluster
        postgres.connection().close()


@pytest.fixture
def postgresql(cluster):
    """That server; the connections to it end with the test."""
    from postgres import end_connections

    yield cluster
    end_connections()


@pytest.fixture
def database(postgresql):
    """The URL of a database without tables."""
    name = f"d{next(_NUMBERS)}"
    postgresql.ask(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")  # in memory that is quicker
    return postgresql.url(name)


@pytest.fixture(params=sorted(BACKENDS))
def backend(request):
    """Each storage backend in turn."""
    if request.param == "postgresql:":
        request.getfixturevalue("postgresql")
    return request.param


@pytest.fixture
def reopen(backend, folder, clock):
    """Make another storage on the same data, as another worker has one."""
    return lambda **limits: BACKENDS[backend](folder, clock, **limits)


@pytest.fixture(params=FILE_SYSTEMS)
def on_disk(request):
    """An instance folder that is not there yet, on each file system in turn."""
    with folder_on(request.param) as folder:
        yield folder / "instance"


@pytest.fixture
def app_settings():
    """Settings of the application that are not as they are by default; tests that need some parametrize it."""
    return None


@pytest.fixture
def app(tmp_path, clock, app_settings):
    """An application whose reads the fast path are compared with what Flask alone would answer."""
    app = create_app(tmp_path / "instance", app_settings, clock)
    app.fast_path = BothPaths(app)
    return app


@pytest.fixture
def services(app):
    return app.extensions["deploymetrics"]


@pytest.fixture
def workers(app, tmp_path, clock):
    """Clients without cookies of two applications on the same folder."""
    other = create_app(tmp_path / "instance", clock=clock)
    other.extensions["deploymetrics"].accounts.add("spare", Role.MASTER_OPERATOR, PASSWORD)  # the last one cannot go
    return [one.test_client(use_cookies=False) for one in (app, other)]


@pytest.fixture
def hashes(monkeypatch):
    """A list that grows with each password hash that is computed."""
    calls = []
    check = passwords.check_password_hash
    monkeypatch.setattr(passwords, "check_password_hash", lambda *args: calls.append(args) or check(*args))
    return calls


class Person:
    """A test client that sends the credentials of one account, unless a call brings its own headers for that."""

    def __init__(self, app, name, password):
        self.client = app.test_client(use_cookies=False)
        self.name = name
        self.password = password

    def __getattr__(self, method):
        """``person.get(url, …)`` and so on, as Flask's test client has them."""
        call = getattr(self.client, method)
        return lambda *args, **kwargs: call(*args, **({"auth": (self.name, self.password)} | kwargs))


@pytest.fixture
def person(app, services):
    """Make an account of a role, and give a Person that uses it."""

    def make(role, name=None):
        name = name or role.value
        services.accounts.add(name, role, PASSWORD)
        return Person(app, name, PASSWORD)

    return make


@pytest.fixture
def master(person):
    """A master operator."""
    return person(Role.MASTER_OPERATOR)


@pytest.fixture
def operator(person):
    """An operator, who may log in and no more."""
    return person(Role.OPERATOR)


@pytest.fixture
def browser(app, master, operator):
    """A client with the login cookie of the master operator."""
    client = app.test_client()
    assert client.post("/login", data={"name": "master-operator", "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def webui(person):
    """A WebUI application, which may post."""
    return person(Role.WEBUI_APP)


@pytest.fixture
def scraper(person):
    """Prometheus, which may read /metrics."""
    return person(Role.SCRAPER)


@pytest.fixture
def nobody(app):
    """A client without an account."""
    return app.test_client(use_cookies=False)


@pytest.fixture
def pages(app, master):
    """A client with the login cookie of the master operator."""
    client = app.test_client()
    assert client.post("/login", data={"name": "master-operator", "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def save(services):
    """Store metrics as bob."""
    return lambda tag, metrics, by="bob": services.documents.save(tag, metrics, by)
