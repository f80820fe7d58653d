"""The source ``server``: numbers of this server. They leave out ``platform``, so that collecting changes none."""

from collections import Counter

from ..documents.reserved import RESERVED_TAG
from ..start_record import last_start
from ..version import VERSION
from . import Source, Value


class ServerSource(Source):
    """Counts the documents and accounts of this server; it is always wanted."""

    def collect(self) -> dict[str, Value]:
        """Return the numbers of documents and accounts, the last change, and version and start of the server."""
        items = [item for item in self.context.documents.list().items if item.key != RESERVED_TAG]
        roles = Counter(account.role.value for account in self.context.accounts.list())
        started = last_start(self.context.store)
        last = max(items, key=lambda item: item.changed_at, default=None)
        return {
            "number_of_tags": len(items),
            "number_of_versions": sum(item.version for item in items),
            "bytes_stored": sum(item.size for item in items),
            "accounts_by_role": dict(sorted(roles.items())),
            **({"last_change": last.changed_at, "last_changed_tag": last.key} if last else {}),
            "server_version": VERSION,
            **({"server_started": started} if started else {}),
        }
