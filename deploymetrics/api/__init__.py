"""The API under ``/api``: its views, and their description."""

from . import help, openapi, series, tokens, views, xml_schemas  # noqa: F401  some add their views to the blueprints

BLUEPRINTS = (views.bp, openapi.bp)
