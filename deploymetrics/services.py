"""The services that an application is assembled from, and how views and commands get at them."""

from typing import NamedTuple

from flask import current_app

from .accounts.authentication import Credentials
from .accounts.service import Accounts
from .accounts.sessions import Sessions
from .accounts.tokens import Tokens
from .clock import Clock
from .documents.expectations import Expectations
from .documents.headlines import Headlines
from .documents.quotas import Quotas
from .documents.service import Service

NAME = "deploymetrics"


class Services(NamedTuple):
    """The services of one application, which keeps them as ``app.extensions[NAME]``."""

    clock: Clock
    service: Service
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    credentials: Credentials
    expectations: Expectations
    headlines: Headlines
    quotas: Quotas


def services() -> Services:
    """Return the Services of the current application."""
    found: Services = current_app.extensions[NAME]
    return found
