"""The accounts, their roles and passwords.

All accounts are one item of the storage. So what holds for all of them together, such as that a master operator stays,
is checked within the one write that could break it. There are some dozens, and each change writes all of them anew.
"""

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from ..errors import AccountError, DamagedItemError, NoMemoryError, NotFound, StorageError
from ..storage import Item, Storage
from .names import skeleton
from .passwords import generate_password, hash_password, is_hashed_by
from .records import ACCOUNTS, ACCOUNTS_KEY, AccountRecord, AccountsRecord, Role, Token
from .token_secrets import generate_secret, hash_secret

_COMMAND_LINE = "command line"


class Accounts:
    """The accounts of a storage. ``password_hash`` is the method by which new passwords are hashed."""

    def __init__(self, store: Storage, password_hash: str) -> None:
        self.store = store
        self.password_hash = password_hash
        # Of one revision of the accounts: whose token has which hash.
        self._tokens: tuple[str, dict[str, tuple[AccountRecord, Token]]] = "", {}

    def find(self, name: str) -> AccountRecord | None:
        """Return the AccountRecord of that name, enabled or not, or None."""
        return self._read_all().get(name)

    def get(self, name: str) -> AccountRecord:
        """Return the AccountRecord of that name; raises NotFound."""
        record = self.find(name)
        if record is None:
            raise NotFound(_no_account(name), code="no-such-account")
        return record

    def find_by_secret(self, secret: str) -> tuple[AccountRecord, Token] | None:
        """Return (AccountRecord, Token) for a token's secret, or None; also for a disabled account or expired token."""
        item = self._read_item()
        if item is None:
            return None
        if self._tokens[0] != item.revision:
            records = item.record.accounts.values()
            by_hash = {token.hash: (record, token) for record in records for token in record.tokens}
            self._tokens = item.revision, by_hash
        return self._tokens[1].get(hash_secret(secret))

    def list(self) -> list[AccountRecord]:
        """Return every AccountRecord, ordered by name."""
        accounts = self._read_all()
        return [accounts[name] for name in sorted(accounts)]

    def exist(self) -> bool:
        """Return True if there are accounts, even if they are damaged and nobody can log in."""
        try:
            return bool(self._read_all())
        except DamagedItemError:
            return True

    def add(
        self, name: str, role: Role, password: str, author: str = _COMMAND_LINE, *, must_change: bool = False
    ) -> AccountRecord:
        """Add an account and return its record.

        ``password`` is a person's, who ``must_change`` it at the first login, or the secret of a program's first token.
        """
        secret = self._secret(role, password)
        record = AccountRecord(name, role, epoch=_new_epoch(), must_change=must_change, **secret)

        def change(accounts: dict[str, AccountRecord]) -> None:
            if name in accounts:
                raise AccountError(f"There is an account {name} already.")
            if lookalike := next((other for other in accounts if skeleton(other) == skeleton(name)), None):
                raise AccountError(f"That name looks like that of the account {lookalike}.")
            accounts[name] = record

        self._write(author, change)
        return record

    def set_password(
        self, name: str, password: str, author: str = _COMMAND_LINE, *, epoch: str | None = None
    ) -> AccountRecord:
        """Give a person a new password, or a program a new token in place of all it has; end the account's sessions.

        Raises AccountError where ``epoch`` is given, and others ended the account's sessions since that.
        """
        secret = self._secret(self.get(name).role, password)

        def fields(record: AccountRecord) -> dict[str, Any]:
            if epoch not in (None, record.epoch):
                raise AccountError(f"{name} was changed meanwhile.")
            return {**secret, "must_change": False, "epoch": _new_epoch()}

        return self.change(name, author, fields)

    def end_sessions(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """End all sessions of an account, on every worker."""
        return self.change(name, author, lambda record: {"epoch": _new_epoch()})

    def set_limits(
        self, name: str, *, tags: Iterable[str], documents: int, bytes: int, posts: int, author: str = _COMMAND_LINE
    ) -> AccountRecord:
        """Limit which tags a WebUI application may post, how much and how often; 0 is no limit."""

        def fields(record: AccountRecord) -> dict[str, Any]:
            if record.role is not Role.WEBUI_APP:
                raise AccountError(f"{name} is not a WebUI application; only those have limits.")
            return {"tags": tuple(tags), "max_documents": documents, "max_bytes": bytes, "posts_a_minute": posts}

        return self.change(name, author, fields)

    def set_role(self, name: str, role: Role, author: str = _COMMAND_LINE) -> AccountRecord:
        """Change the role of a person's account, and end its sessions.

        The last enabled master operator stays, and a program, which has no password: AccountError.
        """

        def fields(record: AccountRecord) -> dict[str, Any]:
            if record.role is not role and (record.role.is_program or role.is_program):
                raise AccountError("A program has tokens and no password: remove the account and add it again.")
            return {"role": role, "epoch": _new_epoch()}

        return self.change(name, author, fields)

    def enable(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Enable an account, and end its sessions."""
        return self.change(name, author, lambda record: {"enabled": True, "epoch": _new_epoch()})

    def disable(self, name: str, author: str = _COMMAND_LINE) -> AccountRecord:
        """Disable an account, and end its sessions; raises AccountError for the last enabled master operator."""
        return self.change(name, author, lambda record: {"enabled": False, "epoch": _new_epoch()})

    def remove(self, name: str, author: str = _COMMAND_LINE) -> None:
        """Remove an account, and end its sessions; raises AccountError for the last enabled master operator."""

        def change(accounts: dict[str, AccountRecord]) -> None:
            _existing_record(accounts, name)
            del accounts[name]

        self._write(author, change)

    def rehash(self, record: AccountRecord, password: str) -> AccountRecord:
        """Hash a right password by the current method if its stored hash is of another; return the account's record.

        The record stays the same where that cannot be stored, or the account was changed meanwhile. Sessions go on.
        """
        if is_hashed_by(record.password, self.password_hash):
            return record

        def fields(current: AccountRecord) -> dict[str, Any]:
            if current != record:
                raise AccountError(f"{record.name} was changed meanwhile.")
            return {"password": hashed}

        try:
            hashed = hash_password(password, self.password_hash)
            return self.change(record.name, "server", fields)
        except (NoMemoryError, StorageError, AccountError):  # the next login tries again
            return record

    def _secret(self, role: Role, password: str) -> dict[str, Any]:
        """Return the fields of a record for a person's password, or for the secret of a program's only token."""
        if role.is_program:
            return {"password": "", "tokens": (Token("secret", hash_secret(password)),)}
        return {"password": hash_password(password, self.password_hash)}

    def _read_item(self) -> Item | None:
        item = self.store.read(ACCOUNTS, ACCOUNTS_KEY)
        if item is None:
            # Where the whole folder is gone, nobody is to be told that a right password is wrong.
            self.store.check()
        return item

    def _read_all(self) -> dict[str, AccountRecord]:
        item = self._read_item()
        accounts: dict[str, AccountRecord] = item.record.accounts if item else {}
        return accounts

    def change(self, name: str, author: str, fields: Callable[[AccountRecord], dict[str, Any]]) -> AccountRecord:
        """Change the fields of an account that ``fields`` returns for its current record; return the new record."""

        def change(accounts: dict[str, AccountRecord]) -> None:
            record = _existing_record(accounts, name)
            accounts[name] = msgspec.structs.replace(record, **fields(record))

        return self._write(author, change)[name]

    def _write(self, author: str, change: Callable[[dict[str, AccountRecord]], None]) -> dict[str, AccountRecord]:
        def write(current: Item | None, now: datetime) -> bytes:
            before = current.record.accounts if current else {}
            after = dict(before)
            change(after)
            masters = [record.name for record in before.values() if record.is_enabled_master]
            if masters and not any(record.is_enabled_master for record in after.values()):
                raise AccountError(f"{masters[0]} is the last enabled master operator.", code="last-master-operator")
            return msgspec.json.encode(AccountsRecord(after))

        item = self.store.write(ACCOUNTS, ACCOUNTS_KEY, author, write)
        assert item is not None
        accounts: dict[str, AccountRecord] = item.record.accounts
        return accounts


def generate_credential(role: Role) -> str:
    """Return a new password for a person's account, or the secret of a token for a program's."""
    return generate_secret() if role.is_program else generate_password()


def _existing_record(accounts: dict[str, AccountRecord], name: str) -> AccountRecord:
    """Return the record of an account; raises AccountError if there is none."""
    if name not in accounts:
        raise AccountError(_no_account(name))
    return accounts[name]


def _no_account(name: str) -> str:
    return f"There is no account {name}." if name.strip() else "There is no account without a name."


def _new_epoch() -> str:
    return secrets.token_hex(8)
