"""Accounts and their roles. No Flask in here.

All accounts are one item of the storage. So what holds for all of them together, such as that a master operator stays,
is checked within the one write that could break it. There are some dozens, and each change writes all of them anew.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from ..errors import AccountError, DamagedItem, StorageError
from ..storage import Collection, Item, Storage
from .names import as_read
from .passwords import hash_password, hash_secret, is_hashed_by, secret_matches

_COMMAND_LINE = "command line"


class Role(StrEnum):
    """What an account may do: everything; log in; post documents; read ``/metrics``."""

    MASTER_OPERATOR = "master-operator"
    OPERATOR = "operator"
    WEBUI_APP = "webui-app"
    SCRAPER = "scraper"

    @property
    def is_program(self) -> bool:
        """Return True for the role of a program, which has a generated secret in place of a password."""
        return self in (Role.WEBUI_APP, Role.SCRAPER)


class AccountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account as it is stored.

    ``password`` is a hash. ``epoch`` changes with whatever ends the account's sessions: they name the epoch they began
    in. ``old_secret`` is the hash of a program's secret that goes on working beside the new one.
    """

    name: str
    role: Role
    password: str
    epoch: str
    enabled: bool = True
    old_secret: str = ""

    @property
    def is_enabled_master(self) -> bool:
        """Return True if this account may do everything."""
        return self.enabled and self.role is Role.MASTER_OPERATOR

    def has_secret(self, secret: str) -> bool:
        """Return True if this is an enabled program and the secret one of its own."""
        if not self.enabled or not self.role.is_program:
            return False
        return secret_matches(self.password, secret) or secret_matches(self.old_secret, secret)


class AccountsRecord(msgspec.Struct, frozen=True):
    """All accounts by name, as they are stored."""

    accounts: dict[str, AccountRecord]

    def key(self) -> str:
        """Return the key of the one item."""
        return _KEY


_KEY = "accounts"
ACCOUNTS = Collection("accounts", AccountsRecord)


class Account:
    """Who is asking. It has the four members that flask-login asks of a user."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, record: AccountRecord, session_id: str | None = None) -> None:
        self.record = record
        self.name = record.name
        self.role = record.role
        self.epoch = record.epoch
        self.session_id = session_id

    @property
    def is_person(self) -> bool:
        """Return True unless it is a program."""
        return not self.role.is_program

    def get_id(self) -> str | None:
        """Return what the login cookie holds: the token of a session, never the name of an account."""
        return self.session_id


class Accounts:
    """The accounts of a storage. ``password_hash`` is the method by which new passwords are hashed."""

    def __init__(self, store: Storage, password_hash: str) -> None:
        self.store = store
        self.password_hash = password_hash

    def find(self, name: str) -> AccountRecord | None:
        """Return the AccountRecord of that name, enabled or not, or None."""
        return self._all().get(name)

    def find_by_secret(self, secret: str) -> AccountRecord | None:
        """Return the enabled program that has this secret, or None."""
        return next((record for record in self._all().values() if record.has_secret(secret)), None)

    def list(self) -> list[AccountRecord]:
        """Return every AccountRecord, ordered by name."""
        accounts = self._all()
        return [accounts[name] for name in sorted(accounts)]

    def exist(self) -> bool:
        """Return True if there are accounts, also where they are damaged and nobody can log in."""
        try:
            return bool(self._all())
        except DamagedItem:
            return True

    def add(self, name: str, role: Role, password: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Add an account and return its record; ``password`` is a person's, or a program's secret."""
        record = AccountRecord(name, role, self._hashed(role, password), _new_epoch())

        def change(accounts: dict[str, AccountRecord]) -> None:
            if name in accounts:
                raise AccountError(f"There is an account {name} already.")
            if like := next((other for other in accounts if as_read(other) == as_read(name)), None):
                raise AccountError(f"That name reads as the one of the account {like}.")
            accounts[name] = record

        self._write(author, change)
        return record

    def set_password(self, name: str, password: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Give an account another password or secret, which is the only one then; its sessions end."""
        record = self._existing(name)
        hashed = self._hashed(record.role, password)
        return self._change(name, author, lambda record: {"password": hashed, "old_secret": "", "epoch": _new_epoch()})

    def add_secret(self, name: str, secret: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Give a program a second secret; the one it has goes on working until ``drop_old_secret``.

        Raises AccountError for another account, and where there are two already: a program may still use either.
        """

        def fields(record: AccountRecord) -> dict[str, Any]:
            if not record.role.is_program:
                raise AccountError(f"{name} is no program; only those have two secrets.")
            if record.old_secret:
                raise AccountError(f"{name} has two secrets already; drop the old one first.")
            return {"password": hash_secret(secret), "old_secret": record.password}

        return self._change(name, author, fields)

    def drop_old_secret(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """End the older one of a program's two secrets; its sessions end."""

        def fields(record: AccountRecord) -> dict[str, Any]:
            if not record.old_secret:
                raise AccountError(f"{name} has no old secret.")
            return {"old_secret": "", "epoch": _new_epoch()}

        return self._change(name, author, fields)

    def set_role(self, name: str, role: Role, author: str = _COMMAND_LINE) -> AccountRecord:
        """Give a person's account another role; its sessions end.

        The last enabled master operator stays, and a program, which has a secret: AccountError.
        """

        def fields(record: AccountRecord) -> dict[str, Any]:
            if record.role is not role and (record.role.is_program or role.is_program):
                raise AccountError("A program has a secret, not a password: remove the account and add it.")
            return {"role": role, "epoch": _new_epoch()}

        return self._change(name, author, fields)

    def enable(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Enable an account; its sessions end."""
        return self._change(name, author, lambda record: {"enabled": True, "epoch": _new_epoch()})

    def disable(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Disable an account; its sessions end. The last enabled master operator stays: AccountError."""
        return self._change(name, author, lambda record: {"enabled": False, "epoch": _new_epoch()})

    def remove(self, name: str, author: str = _COMMAND_LINE) -> None:
        """Remove an account; its sessions end. The last enabled master operator stays: AccountError."""

        def change(accounts: dict[str, AccountRecord]) -> None:
            _known(accounts, name)
            del accounts[name]

        self._write(author, change)

    def rehashed(self, record: AccountRecord, password: str) -> AccountRecord:
        """Return the record of a person whose password was right, hashed by the method of now; sessions go on."""
        if is_hashed_by(record.password, self.password_hash):
            return record
        hashed = self._hashed(record.role, password)

        def fields(current: AccountRecord) -> dict[str, Any]:
            return {"password": hashed} if current == record else {}

        try:
            return self._change(record.name, "server", fields)
        except (StorageError, AccountError):  # the next login tries again
            return record

    def _hashed(self, role: Role, password: str) -> str:
        return hash_secret(password) if role.is_program else hash_password(password, self.password_hash)

    def _all(self) -> dict[str, AccountRecord]:
        item = self.store.read(ACCOUNTS, _KEY)
        if item is None:
            # Where the whole folder is gone, nobody is to be told that a right password is wrong.
            self.store.check()
            return {}
        accounts: dict[str, AccountRecord] = item.record.accounts
        return accounts

    def _existing(self, name: str) -> AccountRecord:
        return _known(self._all(), name)

    def _change(self, name: str, author: str, fields: Callable[[AccountRecord], dict[str, Any]]) -> AccountRecord:
        def change(accounts: dict[str, AccountRecord]) -> None:
            record = _known(accounts, name)
            accounts[name] = msgspec.structs.replace(record, **fields(record))

        return self._write(author, change)[name]

    def _write(self, author: str, change: Callable[[dict[str, AccountRecord]], None]) -> dict[str, AccountRecord]:
        def write(current: Item | None, now: datetime) -> bytes:
            before = current.record.accounts if current else {}
            after = dict(before)
            change(after)
            _check_a_master_stays(before, after)
            return msgspec.json.encode(AccountsRecord(after))

        item = self.store.write(ACCOUNTS, _KEY, author, write)
        assert item is not None
        accounts: dict[str, AccountRecord] = item.record.accounts
        return accounts


def _check_a_master_stays(before: dict[str, AccountRecord], after: dict[str, AccountRecord]) -> None:
    masters = [record.name for record in before.values() if record.is_enabled_master]
    if masters and not any(record.is_enabled_master for record in after.values()):
        raise AccountError(f"{masters[0]} is the last enabled master operator.", code="last-master-operator")


def _known(accounts: dict[str, AccountRecord], name: str) -> AccountRecord:
    if name not in accounts:
        raise AccountError(f"There is no account {name}.")
    return accounts[name]


def _new_epoch() -> str:
    return secrets.token_hex(8)
