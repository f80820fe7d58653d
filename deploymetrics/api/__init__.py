"""The API under ``/api``: its views, and their description."""

from . import description_views, series, tokens, views

# ``series`` and ``tokens`` add their views to those of ``views``.
BLUEPRINTS = (views.bp, description_views.bp)

__all__ = ["BLUEPRINTS", "series", "tokens"]
