"""Accounts and their roles. No Flask in here."""

import hmac
import secrets
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from ..errors import AccountError
from ..storage import Kind
from .passwords import hash_password, hash_secret


class Role(StrEnum):
    """What an account may do: everything; log in; post documents."""

    MASTER_OPERATOR = "master-operator"
    OPERATOR = "operator"
    WEBUI_APP = "webui-app"


class AccountRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account as it is stored. ``epoch`` changes with the password and with every disabling: sessions name the
    epoch they began in, and end with it."""

    name: str
    role: Role
    password: str
    epoch: str
    enabled: bool = True

    def key(self):
        return self.name


class LeavingRecord(msgspec.Struct, frozen=True):
    """Who is being disabled or removed at this moment: by attempt, the account's name, and the time (seconds since
    1970) up to which it does not count as one that stays."""

    id: str
    attempts: dict[str, tuple[str, float]]

    def key(self):
        return self.id


ACCOUNTS = Kind("accounts", AccountRecord)
LEAVING = Kind("leaving", LeavingRecord)
_ONE_LOCK = "accounts"
_LEAVE_SECONDS = 30


class Account:
    """Who is asking. It has the four members that flask-login asks of a user."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, record, session_id=None):
        self.name = record.name
        self.role = record.role
        self.epoch = record.epoch
        self.session_id = session_id

    def get_id(self):
        """What the login cookie holds: the token of a session, never the name of an account."""
        return self.session_id


class Accounts:
    """The accounts of a storage."""

    def __init__(self, store):
        self.store = store

    def find(self, name):
        """The AccountRecord of that name, enabled or not, or None."""
        item = self.store.read(ACCOUNTS, name)
        if item is None:
            self.check_storage()
        return item and item.record

    def check_storage(self):
        """Raise StorageError where no account can be read at all, as when the folder is gone: nobody is to be told then
        that a right password is wrong, or a session over."""
        self.store.items(ACCOUNTS)

    def find_by_secret(self, secret):
        """The enabled WebUI application that has this secret, or None."""
        wanted = hash_secret(secret)
        matches = [record for record in self.list() if hmac.compare_digest(record.password, wanted)]
        return next((record for record in matches if record.enabled), None)

    def list(self):
        """Every AccountRecord, ordered by name."""
        return [ACCOUNTS.decode(item.value) for item in self.store.items(ACCOUNTS).items]

    def damaged(self):
        """The names of accounts whose files cannot be read."""
        return list(self.store.items(ACCOUNTS).damaged)

    def add(self, name, role, password, by="command line"):
        """Add an account and return its record; ``password`` is a person's, or a WebUI application's secret."""

        def create(current, at):
            if current is not None:
                raise AccountError(f"There is an account {name} already.")
            return msgspec.json.encode(AccountRecord(name, role, _hashed(role, password), secrets.token_hex(8)))

        return self.store.write(ACCOUNTS, name, by, create).record

    def set_password(self, name, password, by="command line"):
        """Give an account another password or secret; its sessions end."""
        return self._change(name, by, lambda record: {"password": _hashed(record.role, password)})

    def set_role(self, name, role, by="command line"):
        """Give a person's account another role; its sessions end.

        Raises AccountError for the last enabled master operator, and for a WebUI application.
        """

        def fields(record):
            if record.role is not role and Role.WEBUI_APP in (record.role, role):
                raise AccountError("A WebUI application has a secret, no password: remove the account and add it.")
            return {"role": role}

        if role is Role.MASTER_OPERATOR:
            return self._change(name, by, fields)
        with self._leaving(name, by) as check:
            return self._change(name, by, fields, check)

    def enable(self, name, by="command line"):
        """Enable an account; its sessions end."""
        return self._change(name, by, lambda record: {"enabled": True})

    def disable(self, name, by="command line"):
        """Disable an account; its sessions end. The last enabled master operator stays: AccountError."""
        with self._leaving(name, by) as check:
            return self._change(name, by, lambda record: {"enabled": False}, check)

    def remove(self, name, by="command line"):
        """Remove an account; its sessions end. The last enabled master operator stays: AccountError."""

        def delete(current, at):
            check(at)
            _existing(current, name)

        with self._leaving(name, by) as check:
            self.store.write(ACCOUNTS, name, by, delete)

    @contextmanager
    def _leaving(self, name, by):
        """Hold off all others who disable or remove accounts from relying on this one; AccountError where it is the
        last enabled master operator that stays. Gives what checks, within the write, that this still holds.

        All accounts share one item for it, so of two that rely on each other only one can go.
        """
        attempt, deadline = secrets.token_hex(8), []

        def enter(current, at):
            now = at.timestamp()
            others = {key: found for key, found in _attempts(current).items() if found[1] > now}
            leaving = {name, *(other for other, _ in others.values())}
            if self._is_enabled_master(name) and not self._has_master_without(leaving):
                raise AccountError(f"{name} is the last enabled master operator.", code="last-master-operator")
            deadline[:] = [now + _LEAVE_SECONDS]
            return msgspec.json.encode(LeavingRecord(_ONE_LOCK, {**others, attempt: (name, now + 3 * _LEAVE_SECONDS)}))

        def check(at):
            if at.timestamp() > deadline[0]:
                raise AccountError("This took too long; try again.")

        def leave(current, at):
            others = {key: found for key, found in _attempts(current).items() if key != attempt}
            return msgspec.json.encode(LeavingRecord(_ONE_LOCK, others))

        self.store.write(LEAVING, _ONE_LOCK, by, enter)
        try:
            yield check
        finally:
            self.store.write(LEAVING, _ONE_LOCK, by, leave)

    def _has_master_without(self, names):
        return any(_is_enabled_master(record) and record.name not in names for record in self.list())

    def _is_enabled_master(self, name):
        record = self.find(name)
        return record is not None and _is_enabled_master(record)

    def _change(self, name, by, fields, check=lambda at: None):
        def change(current, at):
            check(at)
            record = _existing(current, name)
            return msgspec.json.encode(msgspec.structs.replace(record, epoch=secrets.token_hex(8), **fields(record)))

        return self.store.write(ACCOUNTS, name, by, change).record


def _is_enabled_master(record):
    return record.enabled and record.role is Role.MASTER_OPERATOR


def _attempts(current):
    return current.record.attempts if current else {}


def _existing(current, name):
    if current is None:
        raise AccountError(f"There is no account {name}.")
    return current.record


def _hashed(role, password):
    return hash_secret(password) if role is Role.WEBUI_APP else hash_password(password)
