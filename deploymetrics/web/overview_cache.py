"""The overview's cache: the sparkline of each document, and the names of its values, by revision."""

import re
from functools import lru_cache
from typing import NamedTuple

from flask import current_app
from markupsafe import Markup

from ..documents.headlines import Headline, headline_series
from ..documents.service import Documents, Entry, Item
from ..documents.values.numbers import shorten_number
from ..errors import DamagedItemError
from ..services import services
from .figures.small_plots import sparkline
from .template_filters import fold_case

_CACHE = "deploymetrics_overview_cache"
MAX_CACHED = 20_000
#: How much of a document is looked through for names, and how much of names is remembered for one.
MAX_LOOKED_AT = 2**16
MAX_NAMES = 1000
_NAME = re.compile(rb'"([^"\\\\]{1,80})":')


class Spark(NamedTuple):
    """The sparkline of a document's headline: its SVG, the name of the number, its last value, and the chosen unit."""

    svg: Markup
    name: str
    text: str
    unit: str


class OverviewCache:
    """Caches sparklines and names by revision: most documents have not changed since they were last shown."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.spark = lru_cache(MAX_CACHED)(self._spark)
        self.names = lru_cache(MAX_CACHED)(self._names)

    def _spark(self, item: Entry | Item, chosen: Headline | None) -> Spark | None:
        """Make the Spark of a document, or return None if it has no number to plot."""
        series = headline_series(self._documents, item, chosen.number if chosen else None)
        if series is None:
            return None
        name, last = series.name or "value", series.points[-1].text
        unit = chosen.unit if chosen and chosen.number == series.name else ""
        svg = sparkline([point.value for point in series.points], f"{name}: {shorten_number(last)}")
        return Spark(svg, name, last, unit)

    def _names(self, entry: Entry) -> str:
        """Return the names of values in a document, or in the first part of a large one, as one text to search in."""
        try:
            item = self._documents.find(entry.key)
        except DamagedItemError:
            return ""
        text = item.record.json[:MAX_LOOKED_AT] if item else b""
        names = dict.fromkeys(_NAME.findall(text))
        return fold_case("\n".join(name.decode(errors="replace") for name in names))[:MAX_NAMES]


def overview_cache() -> OverviewCache:
    """Return the OverviewCache of the current application."""
    cache: OverviewCache = current_app.extensions.setdefault(_CACHE, OverviewCache(services().documents))
    return cache
