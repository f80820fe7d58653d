"""What a view says about itself, in decorators above it: attributes, which others look at."""

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def marked(**attributes: Any) -> Callable[[View], View]:
    """Return a decorator that gives a view these attributes."""

    def mark(view: View) -> View:
        view.__dict__.update(attributes)
        return view

    return mark
