"""Text that came from outside, for a log, a terminal or a spreadsheet; and counts of things."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO


def escaped(text: str) -> str:
    """Return the text with everything as a backslash escape that could steer a terminal or begin another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def row(*fields: object) -> str:
    """Return a line of a list for people and scripts: its fields, escaped, with tabs between them."""
    return "\t".join(escaped(str(field)) for field in fields)


def on_one_line(text: str) -> str:
    """Return the text on one line, with a space in the place of what could steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def csv_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; no spreadsheet takes a name in its head for a formula."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(f"'{name}" if name[:1] in "=+-@\t\r" else name for name in head)
    writer.writerows(rows)
    return out.getvalue()


def counted(count: int, noun: str, form: str = "") -> str:
    """Return how many of something there are: ``12 documents``. ``form`` says how the number is written."""
    return f"{count:{form}} {noun}{'' if count == 1 else 's'}"
