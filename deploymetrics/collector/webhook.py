"""The webhook: tells one URL when a tag gets stale, and when it is fresh again.

Nothing is queued. What was said of a tag last is stored; what is to be said is the difference to how the tag is. So the
work stays bounded while nobody listens, a restart forgets nothing, and a tag that was late only meanwhile is not
mentioned. A message that may have arrived is sent again: it comes at least once.
"""

import hashlib
import hmac
import logging
import time
import urllib.request
from collections import Counter
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

import msgspec

from ..clock import Clock, as_precise
from ..documents.expectations import FRESH, STALE, Expectations, state_names, state_of
from ..documents.service import Documents
from ..storage import Collection, Entry, Item, Record
from .platform_document import AUTHOR
from .signals import Stop

#: How often it is looked what is stale, and how long the URL may take to answer.
CHECK_SECONDS = 30.0
ANSWER_SECONDS = 10.0
#: How long it is not asked again after a failure, doubled with each further one; and how many messages it gets at once.
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
AT_ONCE = 50
log = logging.getLogger(__name__)


class Notice(Record, frozen=True):
    """Stored for a tag of which the URL was told that it is stale, until it is told that it is fresh."""

    tag: str
    saidAt: str


NOTICES = Collection("notices", Notice)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Follow no redirect: signed messages go to the configured URL only."""


class Webhook:
    """Sends messages about stale and fresh tags to a URL, signed with a secret."""

    def __init__(self, url: str, secret: str, documents: Documents, expectations: Expectations, clock: Clock) -> None:
        self.url = url
        self.documents = documents
        self.store = documents.store
        self.expectations = expectations
        self.clock = clock
        self._secret = secret.encode()
        self._failures = 0
        self._refused = Counter[str]()  # by tag: a URL may fail at the message of one, for which no other has to wait
        self._not_before = 0.0
        self._opener = urllib.request.build_opener(_NoRedirects)

    def notify(self, stop: Stop) -> None:
        """Send a message for each tag that got stale or fresh since the last one about it. Raises StorageError.

        What cannot be said before it is time to look again waits for that, since the sources wait for this.
        """
        latest_begin = time.monotonic() + CHECK_SECONDS - ANSWER_SECONDS
        news = self._news()
        self._refused = Counter({tag: self._refused[tag] for _, tag, _ in news if tag in self._refused})
        news.sort(key=lambda message: self._refused[message[1]])
        if time.monotonic() < self._not_before:
            news = [message for message in news if not self._refused[message[1]]]
        for event, tag, details in news[:AT_ONCE]:
            if details is not None and not self._send({"event": event, "tag": tag, **details}, stop):
                self._refused[tag] += 1
                return
            self._store_notice(tag, event)
            if time.monotonic() > latest_begin:
                return

    def _news(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        """Return (event, tag, details) for each tag that got stale or fresh, without details for a deleted document."""
        expected, now = self.expectations.all(), self.clock.now()
        told_tags = {item.key for item in self.store.items(NOTICES).items}
        items = {item.key: item for item in self.documents.list().items if item.key in expected}
        states = state_names(items.values(), expected, now)
        late = {tag for tag, name in zip(items, states) if name == STALE}
        news: list[tuple[str, str, dict[str, Any] | None]] = [
            (STALE, tag, _details(items[tag], expected[tag], now)) for tag in sorted(late - told_tags)
        ]
        for tag in sorted(told_tags - late):
            item = items.get(tag)
            news.append((FRESH, tag, _details(item, expected[tag], now) if item else None))
        return news

    def _store_notice(self, tag: str, event: str) -> None:
        def change(current: Item | None, now: datetime) -> bytes | None:
            return msgspec.json.encode(Notice(tag, as_precise(now))) if event == STALE else None

        self.store.write(NOTICES, tag, AUTHOR, change)

    def _send(self, message: dict[str, Any], stop: Stop) -> bool:
        """Send a message and return True if the URL took it; else begin a pause."""
        body = msgspec.json.encode(message)
        try:
            stop.run_limited(ANSWER_SECONDS, lambda: self._post(body))
        except KeyboardInterrupt:
            reason = "no answer in time"
        except HTTPError as error:
            error.close()
            reason = f"HTTP {error.code}"
        except (OSError, ValueError, HTTPException) as error:  # the last for what is not HTTP
            reason = type(error).__name__
        else:
            self._failures, self._not_before = 0, 0.0
            return True
        if not stop.is_set:
            pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
            self._failures = min(self._failures + 1, 20)
            self._not_before = time.monotonic() + pause
            log.warning("the webhook was not told that %r is %s: %s", message["tag"], message["event"], reason)
        return False

    def _post(self, body: bytes) -> None:
        moment = str(int(self.clock.timestamp()))
        signature = hmac.new(self._secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "deploymetrics",
            "Deploymetrics-Timestamp": moment,
            "Deploymetrics-Signature": f"sha256={signature}",
        }
        request = urllib.request.Request(self.url, body, headers, method="POST")
        self._opener.open(request, timeout=ANSWER_SECONDS).close()


def _details(item: Entry, seconds: int, now: datetime) -> dict[str, Any]:
    due = state_of(item, seconds, now).due
    return {
        "at": as_precise(now),
        "lastChanged": item.changed_at,
        "changedBy": item.changed_by,
        "version": item.version,
        "everySeconds": seconds,
        "due": as_precise(due) if due else None,
    }
