"""Tables as CSV."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from .printable import spreadsheet_cell


def csv_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; no spreadsheet takes a name in its head for a formula."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(map(spreadsheet_cell, head))
    writer.writerows(rows)
    return out.getvalue()
