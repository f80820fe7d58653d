"""The ``deploymetrics`` command."""

from . import accounts, audit, backup, collect, documents, serve, settings, status, storage, tokens, transfer  # noqa: F401
from .group import main as main
