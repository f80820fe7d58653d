"""The API under ``/api``: its views, and their description."""

from .views import bp

__all__ = ["bp"]
