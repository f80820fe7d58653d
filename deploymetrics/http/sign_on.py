"""Sign-on by a reverse proxy: whom the header REMOTE_USER_HEADER names, where a proxy is trusted to set it.

The proxy asks people who they are, by LDAP, SAML or OpenID Connect, and tells it with each request. It has to remove or
overwrite what clients send under that name. Where the setting is empty the header is nothing here.
"""

import math

from flask import Flask

from ..accounts.passwords import normalize
from ..accounts.records import Account
from ..accounts.service import Accounts
from ..errors import Forbidden


class SignOn:
    """Finds the account that a reverse proxy names in the header of a request."""

    def __init__(self, app: Flask, accounts: Accounts) -> None:
        header: str = app.config["REMOTE_USER_HEADER"]  # which is refused where there is no proxy
        self.accounts = accounts
        self._key = f"HTTP_{header.upper().replace('-', '_')}" if header else ""

    def account_of(self, environ: dict[str, str]) -> Account | None:
        """Return the Account that the proxy names, or None; raises Forbidden unless it is an enabled person's."""
        sent_name = environ.get(self._key)
        if not sent_name:
            return None
        name = sent_name.encode("latin-1", "replace").decode(errors="replace").strip()
        record = self.accounts.find(normalize(name))
        if record is None or not record.enabled or record.role.is_program:
            detail = "The reverse proxy logged you in, but no enabled account here has that name."
            raise Forbidden(detail, code="no-account")
        return Account(record, proved_at=math.inf)
