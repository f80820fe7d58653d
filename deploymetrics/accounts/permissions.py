"""The limits of an account and of its token: what they leave of what the role may do."""

from collections.abc import Set
from fnmatch import fnmatchcase

from ..errors import Forbidden
from .records import Access, Account, Role


def check_limits(account: Account, roles: Set[Role], *, is_read: bool, tag: str | None) -> None:
    """Raise Forbidden where the limits of an account, or of its token, do not allow a request.

    ``roles`` are those that may make it at all, and ``tag`` is its tag. Where an operator may make it too, who
    sees no metrics, patterns of tags do not matter.
    """
    token = account.token
    if token is not None and token.access is Access.READ and not is_read:
        raise Forbidden("This token may only read.", code="token-limited")
    if token is not None and token.access is Access.SCRAPE and (Role.SCRAPER not in roles or Role.OPERATOR in roles):
        raise Forbidden("This token may only read /metrics.", code="token-limited")
    if Role.OPERATOR not in roles:
        _check_tag(account.record.tags, tag, "account")
        _check_tag(token.tags if token else (), tag, "token")


def _check_tag(patterns: tuple[str, ...], tag: str | None, owner: str) -> None:
    # A bracket is itself, which fnmatch writes as a set of one.
    if patterns and (tag is None or not any(fnmatchcase(tag, pattern.replace("[", "[[]")) for pattern in patterns)):
        raise Forbidden(f"This {owner} may only read and write tags like {', '.join(patterns)}.", code="tag-limited")
