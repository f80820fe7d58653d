"""Accounts, their tokens and sessions as they are stored, and who is asking."""

from enum import StrEnum

import msgspec

from ..clock import SKEW_SECONDS, lies_ahead
from ..storage import Collection, Record
from .token_secrets import hash_secret, is_secret_hash


class Role(StrEnum):
    """The role of an account, which may do everything; log in; post documents; or read ``/metrics``."""

    MASTER_OPERATOR = "master-operator"
    OPERATOR = "operator"
    WEBUI_APP = "webui-app"
    SCRAPER = "scraper"

    @property
    def is_program(self) -> bool:
        """Return True if this is the role of a program, which has tokens and no password."""
        return self in (Role.WEBUI_APP, Role.SCRAPER)


class Access(StrEnum):
    """The access of a token, within that of its account: all of it; reading only; or ``/metrics`` only."""

    FULL = "full"
    READ = "read-only"
    SCRAPE = "scrape"


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token of an account. Its secret is not stored, only ``hash``.

    It ``expires`` at so many seconds since 1970; 0 is never. ``tags`` are patterns of the tags that it may read and
    write, all where there is none.
    """

    name: str
    hash: str
    expires: float = 0.0
    access: Access = Access.FULL
    tags: tuple[str, ...] = ()

    @property
    def id(self) -> int:
        """Return the number by which the API names the token; it does not help to guess the secret."""
        return int(self.hash[-8:], 16) >> 1

    @property
    def is_limited(self) -> bool:
        """Return True if the token may do less than its account."""
        return self.access is not Access.FULL or bool(self.tags)

    def is_alive(self, now: float) -> bool:
        """Return True if the token has not expired."""
        return not self.expires or now < self.expires


class AccountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account as it is stored.

    ``password`` is the hash of a person's password. ``epoch`` changes with whatever ends the account's sessions: they
    name the epoch they began in. ``must_change`` marks a password that is for the first login only.

    Limits, each for all where it is empty or 0: ``tags`` are patterns of the tags that it may read and write,
    ``max_documents`` and ``max_bytes`` how many documents may be of its making and how long they may be together, and
    ``posts_a_minute`` how often it may post.
    """

    name: str
    role: Role
    password: str
    epoch: str
    enabled: bool = True
    old_secret: str = ""
    tokens: tuple[Token, ...] = ()
    must_change: bool = False
    tags: tuple[str, ...] = ()
    max_documents: int = 0
    max_bytes: int = 0
    posts_a_minute: int = 0

    def __post_init__(self) -> None:
        """Convert the secrets that programs had before there were tokens, one or two, to tokens."""
        if is_secret_hash(self.password):
            secrets = (("secret", self.password), ("old secret", self.old_secret))
            tokens = tuple(Token(name, hash) for name, hash in secrets if hash)
            for field, value in (("tokens", self.tokens + tokens), ("password", ""), ("old_secret", "")):
                msgspec.structs.force_setattr(self, field, value)

    @property
    def id(self) -> int:
        """Return the number by which the API of tokens names the account, as BigFix does."""
        return int(hash_secret(self.name)[-8:], 16) >> 1

    @property
    def is_enabled_master(self) -> bool:
        """Return True for an enabled master operator."""
        return self.enabled and self.role is Role.MASTER_OPERATOR

    def token_of(self, secret: str) -> Token | None:
        """Return the account's Token with this secret, expired or not, or None."""
        stored = hash_secret(secret)
        return next((token for token in self.tokens if token.hash == stored), None)


class AccountsRecord(msgspec.Struct, frozen=True):
    """All accounts by name, as they are stored."""

    accounts: dict[str, AccountRecord]

    def key(self) -> str:
        """Return the key of the one item that holds all accounts."""
        return ACCOUNTS_KEY


ACCOUNTS_KEY = "accounts"
ACCOUNTS = Collection("accounts", AccountsRecord)


class Session(msgspec.Struct, frozen=True, array_like=True):
    """A session: its account's epoch, its times, and where it began.

    ``lifetime`` is in seconds; ``expires``, ``latest`` and ``began`` are seconds since 1970. No use moves ``expires``
    past ``latest``. A signed token that was ended is kept until it expires anyway, with an epoch that no account has.

    ``proved_at`` is when the password was last checked, 0 where the session began without one. ``token`` is the id of
    the Token that it began with, or 0. ``address`` and ``agent`` say to its owner whose it may be.
    """

    epoch: str
    lifetime: int
    expires: float
    latest: float
    began: float = 0.0
    proved_at: float = 0.0
    token: int = 0
    address: str = ""
    agent: str = ""

    @property
    def used_at(self) -> float:
        """Return when the session was last used, to a tenth of its lifetime."""
        return self.expires - self.lifetime if self.expires < self.latest else self.latest - self.lifetime

    def is_alive(self, now: float) -> bool:
        """Return True if the session has not expired."""
        return lies_ahead(self.expires, now, self.lifetime + SKEW_SECONDS)


class SessionsRecord(Record, frozen=True):
    """The sessions of an account, by the hash of their token."""

    id: str
    account: str
    sessions: dict[str, Session]

    @property
    def expires(self) -> float:
        """Return when the last of the sessions expires, in seconds since 1970."""
        return max((session.expires for session in self.sessions.values()), default=0.0)


SESSIONS = Collection("sessions", SessionsRecord, durable=False)


class Account:
    """The account that makes a request, with the credential it sent; has the four members that flask-login needs.

    ``token`` is the Token that was sent, or that the session began with. ``proved_at`` is when the password was last
    checked, in seconds since 1970: infinite where it came with this request, 0 where that was too long ago or never.
    """

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(
        self,
        record: AccountRecord,
        session_id: str | None = None,
        *,
        token: Token | None = None,
        proved_at: float = 0.0,
    ) -> None:
        self.record = record
        self.name = record.name
        self.role = record.role
        self.epoch = record.epoch
        self.session_id = session_id
        self.token = token
        self.proved_at = proved_at

    @property
    def is_person(self) -> bool:
        """Return True unless this is a program's account."""
        return not self.role.is_program

    @property
    def is_proved(self) -> bool:
        """Return True if the password was checked not long ago, or for a program, which has none."""
        return self.proved_at > 0 or not self.is_person

    def get_id(self) -> str | None:
        """Return the token of the session for the login cookie; never the name of an account."""
        return self.session_id
