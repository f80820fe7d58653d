"""Quotas: how much an account may store, and how often it may post.

What an account stores is counted as it is posted, so a post costs the same however many documents there are. What
others delete or write, and posts that fail, are not counted back; instead all is counted anew from the list once the
limit seems to be reached, and only what is really too much is refused. A little inexact is fine here: posts at the very
same moment may each be the last one that fits, and posts are counted by the minutes of the clock.
"""

import math
from datetime import datetime

import msgspec

from ..accounts.records import AccountRecord
from ..clock import SKEW_SECONDS, Clock
from ..errors import QuotaExceededError, TooManyPostsError
from ..formats.escaping import counted
from ..storage import Collection, Item, Record, Storage
from .service import Documents, stored_size


class QuotaRecord(Record, frozen=True):
    """The stored counts of an account: documents and bytes, at the most, and posts in a ``minute`` since 1970."""

    account: str
    documents: int
    bytes: int
    minute: int
    posts: int


QUOTAS = Collection("quotas", QuotaRecord, durable=False)


class Quotas:
    """Counts what accounts with limits post, and refuses posts beyond their limits."""

    def __init__(self, store: Storage, clock: Clock, documents: Documents) -> None:
        self.store = store
        self.clock = clock
        self.documents = documents

    def count_post(self, account: AccountRecord, tag: str, metrics: bytes) -> None:
        """Count a post before it is stored; raises QuotaExceededError or TooManyPostsError if it is over a limit."""
        if not (account.max_documents or account.max_bytes or account.posts_a_minute):
            return
        size, before = stored_size(tag, metrics), self.documents.find(tag)
        if before is not None and before.changed_by == account.name:
            growth = 0, max(size - before.size, 0)
        else:
            growth = 1, size
        try:
            self._count(account, growth, None)
        except QuotaExceededError:  # or so it seems
            entries = self.documents.list().items
            others = [entry.size for entry in entries if entry.changed_by == account.name and entry.key != tag]
            self._count(account, (1, size), (len(others), sum(others)))

    def _count(self, account: AccountRecord, growth: tuple[int, int], stored: tuple[int, int] | None) -> None:
        """Count a post, and add ``growth`` (documents, bytes) to ``stored``; None stands for those counted before."""
        now = self.clock.timestamp()

        def change(current: Item | None, at: datetime) -> bytes:
            counts: QuotaRecord | None = current.record if current else None
            minute, posts = int(now // 60), 0
            # The next minute is that of a server whose clock is a little ahead; later ones are of one that was wrong.
            if counts and 0 <= counts.minute - minute <= SKEW_SECONDS // 60:
                minute, posts = counts.minute, counts.posts
            if account.posts_a_minute and posts >= account.posts_a_minute:
                often = f"{counted(account.posts_a_minute, 'time')} a minute"
                raise TooManyPostsError(math.ceil((minute + 1) * 60 - now), f"This account may post {often}.")
            before = (counts.documents, counts.bytes) if counts and stored is None else stored
            if before is None:
                raise QuotaExceededError("It was never counted.")
            documents, size = before[0] + growth[0], before[1] + growth[1]
            if 0 < account.max_documents < documents:
                raise QuotaExceededError(f"This account may store {counted(account.max_documents, 'document')}.")
            if 0 < account.max_bytes < size:
                raise QuotaExceededError(f"The documents of this account may have {account.max_bytes} bytes together.")
            return msgspec.json.encode(QuotaRecord(account.name, documents, size, minute, posts + 1))

        self.store.write(QUOTAS, account.name, "server", change)
