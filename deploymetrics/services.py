"""The services that an application is assembled from, and how views and commands get at them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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
from .storage import Retention, Storage, open_storage

NAME = "deploymetrics"


class Services(NamedTuple):
    """The services of one application, which keeps them as ``app.extensions[NAME]``."""

    clock: Clock
    store: Storage
    documents: Documents
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    authenticator: Authenticator
    expectations: Expectations
    headlines: Headlines
    quotas: Quotas


def services(app: Flask | None = None) -> Services:
    """Return the Services of an application, by default of the current one."""
    assembled: Services = (app or current_app).extensions[NAME]
    return assembled


def assemble(folder: str, settings: Mapping[str, Any], clock: Clock, *, make: bool) -> Services:
    """Open the storage of an instance folder, with ``make`` also a missing one, and return the Services on it."""
    store = open_storage(
        settings["STORAGE"],
        folder,
        clock,
        Retention(settings["HISTORY_VERSIONS"], settings["HISTORY_HOURLY_DAYS"], settings["HISTORY_DAYS"]),
        make=make,
        seconds=settings["DATABASE_SECONDS"],
        prepare=settings["DATABASE_PREPARE"],
    )
    accounts = Accounts(store, settings["PASSWORD_HASH"])
    sessions = Sessions(
        store,
        clock,
        accounts,
        secret_keys=[*settings["SECRET_KEY_FALLBACKS"], settings["SECRET_KEY"]],
        limit=settings["SESSION_LIMIT_SECONDS"],
        proof_seconds=settings["PROOF_SECONDS"],
    )
    tokens = Tokens(store, clock, accounts)
    throttle = Throttle(
        store,
        clock,
        per_account=settings["GUESSES"],
        per_address=settings["GUESSES_PER_ADDRESS"],
        longest=settings["GUESS_DELAY_SECONDS"],
    )
    authenticator = Authenticator(accounts, sessions, tokens, throttle, settings["CREDENTIAL_CACHE_SECONDS"])
    documents, expectations, headlines = Documents(store), Expectations(store), Headlines(store)
    quotas = Quotas(store, clock, documents)
    return Services(clock, store, documents, accounts, sessions, tokens, authenticator, expectations, headlines, quotas)
