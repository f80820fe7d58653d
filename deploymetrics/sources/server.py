"""The source ``server``: facts of this server. They leave out ``platform``, so that collecting does not change them."""

from collections import Counter

import msgspec

from ..clock import as_precise
from ..documents.reserved import RESERVED_TAG
from ..storage import Collection
from ..version import VERSION
from . import Source

_KEY = "server"


class StartRecord(msgspec.Struct, frozen=True):
    """When ``deploymetrics serve`` last started."""

    name: str
    startedAt: str

    def key(self):
        return self.name


STARTS = Collection("starts", StartRecord)


def record_start(store, clock):
    """Note that the server starts now."""
    record = StartRecord(_KEY, as_precise(clock.now()))
    store.write(STARTS, _KEY, "server", lambda current, at: msgspec.json.encode(record))


class ServerSource(Source):
    """Always there."""

    def collect(self):
        """Numbers of documents and accounts, the last change, and version and start of the server."""
        items = [item for item in self.context.service.list().items if item.key != RESERVED_TAG]
        roles = Counter(account.role.value for account in self.context.accounts.list())
        return {
            "number_of_tags": len(items),
            "number_of_versions": sum(item.version for item in items),
            "bytes_stored": sum(len(item.value) for item in items),
            "accounts_by_role": dict(sorted(roles.items())),
            **_last_change(items),
            "server_version": VERSION,
            **self._start(),
        }

    def _start(self):
        item = self.context.store.read(STARTS, _KEY)
        return {"server_started": item.record.startedAt} if item else {}


def _last_change(items):
    if not items:
        return {}
    last = max(items, key=lambda item: item.changed_at)
    return {"last_change": last.changed_at, "last_changed_tag": last.key}
