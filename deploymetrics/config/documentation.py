"""The settings as text, made from their rows: the table in the documentation, and the example of ``config.py``."""

import textwrap

from .settings import PREFIX, SETTINGS

_INTRODUCTION = f'''\
"""Settings of this server. Copy this file to config.py and keep the lines that you change.

Each can be set in the environment as well, as {PREFIX}<NAME>, which goes first.
"""
'''


def table() -> str:
    """Return the settings as a list table in reStructuredText."""
    rows = [".. list-table::", "   :header-rows: 1", "", "   * - Name", "     - Default", "     - Meaning"]
    for row in SETTINGS:
        default = "" if row.default in (None, "", {}, ()) else f"``{row.default}``"
        rows += [f"   * - ``{row.name}``", f"     - {default}".rstrip(), f"     - {row.help}"]
    return "\n".join(rows) + "\n"


def example() -> str:
    """Return a ``config.py`` in which every setting stands with its default, commented out."""
    paragraphs = [_INTRODUCTION]
    for row in SETTINGS:
        words = textwrap.fill(row.help, 118, initial_indent="# ", subsequent_indent="# ")
        paragraphs.append(f"{words}\n# {row.name} = {row.default!r}\n")
    return "\n".join(paragraphs)
