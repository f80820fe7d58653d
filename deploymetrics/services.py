"""The services that an application is assembled from, and how views and commands get at them."""

from typing import NamedTuple

from flask import Flask, current_app

from .accounts.authentication import Authenticator
from .accounts.service import Accounts
from .accounts.sessions import Sessions
from .accounts.tokens import Tokens
from .clock import Clock
from .documents.expectations import Expectations
from .documents.headlines import Headlines
from .documents.quotas import Quotas
from .documents.service import Documents
from .storage import Storage

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
    """Return the Services of an application, of the current one where none is given."""
    found: Services = (app or current_app).extensions[NAME]
    return found
