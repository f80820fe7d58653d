"""The API under ``/api``: its views, and their description."""

from . import descriptions, series, tokens, views

BLUEPRINTS = (views.bp, descriptions.bp)

__all__ = ["BLUEPRINTS", "series", "tokens"]
