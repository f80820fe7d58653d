"""Making what is measured: an instance with documents, and the bytes for the baseline."""

import base64
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.clock import as_precise
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.storage import Item

NAME, PASSWORD = "bench", "a password of the benchmark"
AUTHORIZATION = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
METRICS = b'[{"number_of_endpoints":"5","padding":"%s"}]' % (b"x" * 920)
ONE = "/api/deploymentmetrics/tag%05d"
ALL = "/api/deploymentmetrics"


@contextmanager
def one_sync():
    """Sync everything once at the end, not each file: for making what is measured afterwards."""
    fsync, fdatasync = os.fsync, os.fdatasync
    os.fsync = os.fdatasync = lambda fd: None
    try:
        yield
    finally:
        os.fsync, os.fdatasync = fsync, fdatasync
        os.sync()


@one_sync()
def fill(instance, documents, full=0):
    """Make an instance with an account and documents of 1 KB, the first ``full`` of them with all the earlier versions
    that are kept. Returns the bytes of one document and of the list, and the revision of the list."""
    app = create_app(instance)
    services = app.extensions["deploymetrics"]
    services.accounts.add(NAME, Role.MASTER_OPERATOR, PASSWORD)
    for number in range(full):
        restore(services.documents, f"tag{number:05d}", app.config["HISTORY_VERSIONS"] + 1)
    for number in range(full, documents):
        services.documents.save(f"tag{number:05d}", METRICS, NAME)
    listing = services.documents.list()
    one = services.documents.get("tag00000").value if documents else b""
    return one, b"".join(listing.array()), listing.revision


def restore(documents, tag, versions):
    """Put so many versions of a document into the storage at once, as an import does."""
    start = datetime.now(UTC) - timedelta(minutes=versions)
    value = b'{"tag":"%b","metrics":%b,"lastChanged":"12 Jan 2018 12:00"}' % (tag.encode(), METRICS)
    items = [
        Item(tag, value, None, number, as_precise(start + timedelta(minutes=number)), NAME, "")
        for number in range(1, versions + 1)
    ]
    documents.store.restore(DOCUMENTS, tag, items)


@one_sync()
def prepare_baseline(folder, one, everything):
    """Put the bytes that the baseline answers with where it looks for them."""
    os.makedirs(folder / "written")
    (folder / "one.json").write_bytes(one)
    (folder / "list.json").write_bytes(everything)
