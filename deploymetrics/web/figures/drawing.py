"""Drawing plots as SVG, by the templates in ``templates/figures``: no script, no style of their own.

The page's stylesheet gives the colours, so a plot follows light and dark. What a plot holds is escaped there.
"""

from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from .curves import Position

_templates = Environment(
    loader=PackageLoader("deploymetrics"), autoescape=True, auto_reload=False, trim_blocks=True, lstrip_blocks=True
)
_templates.filters["g"] = "{:g}".format


def draw(name: str, **variables: Any) -> Markup:
    """Return the SVG of a template."""
    return Markup(_templates.get_template(f"figures/{name}.svg").render(variables))


def _points(positions: list[Position]) -> str:
    """Return positions as the points of an SVG line."""
    return " ".join(f"{x:g},{y:g}" for x, y in positions)


_templates.filters["points"] = _points
