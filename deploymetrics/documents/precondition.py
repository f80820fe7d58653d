"""Preconditions: what a request demands of the document's current version, by If-Match and the like (RFC 9110, 13)."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from ..clock import from_precise
from ..errors import PreconditionFailed

_CHANGED = "The current ETag is not one that If-Match names; somebody else wrote in between."
_GONE = "There is no document with this tag, and If-Match asks that there is one."
_NO_ETAG = "If-Match names no ETag in quotation marks."
_EXISTS = "There is a document with this tag already, and If-None-Match asks that there is none."
_NAMED = "If-None-Match names the current ETag of the document."
_LATER = "The document was changed after the time in If-Unmodified-Since, or is not there any more."


class Precondition(NamedTuple):
    """The precondition of a request, from its headers If-Match and the like.

    ``match`` and ``none_match`` are None where the header is missing, ``"*"``, or the revisions that its ETags name.
    ``unmodified_since`` and ``modified_since`` are whole seconds, or None.
    """

    match: frozenset[str] | str | None = None
    none_match: frozenset[str] | str | None = None
    unmodified_since: datetime | None = None
    modified_since: datetime | None = None

    def check(self, revision: str | None, changed_at: str = "", before: Callable[[], str] = lambda: "") -> None:
        """Raise PreconditionFailed unless the current version fulfils all headers.

        ``revision`` and ``changed_at`` (a precise text) are those of the current version, None and empty where there is
        none; ``before`` returns when the version before it was written.
        """
        self.check_match(revision, changed_at, before)
        if self.none_match_names(revision):
            raise PreconditionFailed(_EXISTS if self.none_match == "*" else _NAMED, revision=revision)

    def check_match(self, revision: str | None, changed_at: str = "", before: Callable[[], str] = lambda: "") -> None:
        """Raise PreconditionFailed if ``If-Match``, or else ``If-Unmodified-Since``, is not fulfilled."""
        if self.match is not None:
            if not _is_named(self.match, revision):
                problem = _NO_ETAG if not self.match else _GONE if revision is None else _CHANGED
                raise PreconditionFailed(problem, revision=revision)
        elif self.unmodified_since is not None:
            if not is_unmodified(self.unmodified_since, changed_at, before):
                raise PreconditionFailed(_LATER, revision=revision)

    def none_match_names(self, revision: str | None) -> bool:
        """Return True if ``If-None-Match`` names the current version."""
        return self.none_match is not None and _is_named(self.none_match, revision)


ANY = Precondition()


def is_unmodified(date: datetime, changed_at: str, before: Callable[[], str]) -> bool:
    """Return True if a document was not changed since ``date``, which a client got as its ``Last-Modified``.

    Two versions within one second have the same date, so that it names neither of them.
    """
    if not changed_at:
        return False
    second = _to_second(changed_at)
    if second != date:
        return second < date
    earlier = before()
    return not earlier or _to_second(earlier) < date


def _to_second(precise: str) -> datetime:
    moment: datetime = from_precise(precise)
    return moment.replace(microsecond=0)


def _is_named(etags: frozenset[str] | str, revision: str | None) -> bool:
    """Return True if ETags name a revision."""
    return revision is not None and (etags == "*" or revision in etags)
