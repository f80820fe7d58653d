"""The API under ``/api``: its views, and their description."""

from . import openapi, series, tokens, views  # noqa: F401  two of them add their views to those of ``views``

BLUEPRINTS = (views.bp, openapi.bp)
