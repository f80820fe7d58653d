"""Escaping text from outside for logs, terminals and spreadsheets; and counts of things."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

# The wide ones begin a formula where the spreadsheet is Japanese.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def escape(text: str) -> str:
    """Escape, with backslashes, everything in a text that could steer a terminal or begin another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def row(*fields: object) -> str:
    """Return a line of a command's output: its fields, escaped, with tabs between them."""
    return "\t".join(escape(str(field)) for field in fields)


def on_one_line(text: str) -> str:
    """Return a text on one line, with a space in place of everything that could steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def csv_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, with quotes before names in the head that a spreadsheet would take for formulas."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(f"'{name}" if name.startswith(_FORMULA) else name for name in head)
    writer.writerows(rows)
    return out.getvalue()


def counted(count: int, noun: str, form: str = "") -> str:
    """Return a count with its noun: ``1 document``, ``12 documents``; ``form`` is the format of the number."""
    return f"{count:{form}} {noun}{'' if count == 1 else 's'}"
