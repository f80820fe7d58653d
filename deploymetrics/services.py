"""The services that an application is assembled from, and how views and commands get at them."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app

from .accounts.authentication import Authenticator
from .accounts.service import Accounts
from .accounts.sessions import Sessions
from .accounts.throttle import Throttle
from .accounts.tokens import Tokens
from .clock import Clock
from .documents.expectations import Expectations
from .documents.headlines import Headlines
from .documents.quotas import Quotas
from .documents.service import Documents
from .storage import Retention, open_storage

NAME = "deploymetrics"


class Services:
    """The services on the storage of an instance folder; the application keeps them as ``app.extensions[NAME]``.

    With ``make`` a storage that is missing is made.
    """

    def __init__(self, folder: str, settings: Mapping[str, Any], clock: Clock, *, make: bool) -> None:
        self.clock = clock
        self.store = store = open_storage(
            settings["STORAGE"],
            folder,
            clock,
            Retention(settings["HISTORY_VERSIONS"], settings["HISTORY_HOURLY_DAYS"], settings["HISTORY_DAYS"]),
            make=make,
            seconds=settings["DATABASE_SECONDS"],
            prepare=settings["DATABASE_PREPARE"],
        )
        self.documents = Documents(store)
        self.expectations = Expectations(store)
        self.headlines = Headlines(store)
        self.quotas = Quotas(store, clock, self.documents)
        self.accounts = Accounts(store, settings["PASSWORD_HASH"])
        self.sessions = Sessions(
            store,
            clock,
            self.accounts,
            secret_keys=[*settings["SECRET_KEY_FALLBACKS"], settings["SECRET_KEY"]],
            limit=settings["SESSION_LIMIT_SECONDS"],
            proof_seconds=settings["PROOF_SECONDS"],
        )
        self.tokens = Tokens(store, clock, self.accounts)
        throttle = Throttle(
            store,
            clock,
            per_account=settings["GUESSES"],
            per_address=settings["GUESSES_PER_ADDRESS"],
            longest=settings["GUESS_DELAY_SECONDS"],
        )
        remember_seconds = settings["CREDENTIAL_CACHE_SECONDS"]
        self.authenticator = Authenticator(self.accounts, self.sessions, self.tokens, throttle, remember_seconds)


def services(app: Flask | None = None) -> Services:
    """Return the Services of an application, by default of the current one."""
    assembled: Services = (app or current_app).extensions[NAME]
    return assembled
