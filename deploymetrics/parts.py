"""What an application is assembled from, and how views and commands get at it."""

from typing import NamedTuple

from flask import current_app

from .accounts import Accounts
from .clock import Clock
from .credentials import Credentials
from .service import Service
from .sessions import Sessions
from .staleness import Expectations

NAME = "deploymetrics"


class Parts(NamedTuple):
    """The services of one application, which keeps them as ``app.extensions[NAME]``."""

    clock: Clock
    service: Service
    accounts: Accounts
    sessions: Sessions
    credentials: Credentials
    expectations: Expectations


def parts():
    """The Parts of the current application."""
    return current_app.extensions[NAME]
