"""What the overview remembers of documents, by their revision: small plots, and the names of values."""

import re
from typing import NamedTuple

from flask import current_app
from flask.blueprints import BlueprintSetupState
from markupsafe import Markup

from ..documents.headlines import Headline, headline_series
from ..documents.service import Documents, Entry, Item
from ..documents.values.numbers import rounded
from ..errors import DamagedItemError
from ..services import NAME
from . import bp
from .figures.small_plots import sparkline
from .template_filters import folded

_CACHE = "deploymetrics_overview_cache"
MAX_CACHED = 20_000
#: How much of a document is looked through for names, and how much of names is remembered for one.
MAX_LOOKED_AT = 2**16
MAX_NAMES = 1000
_NAME = re.compile(rb'"([^"\\\\]{1,80})":')


class Spark(NamedTuple):
    """A small plot of the last values of a number, its name, the last of the values, and a unit if one was chosen."""

    svg: Markup
    name: str
    text: str
    unit: str


class OverviewCache:
    """What was found of documents, by their tags: most have not changed since they were last shown."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._sparks: dict[str, tuple[tuple[str, Headline | None], Spark | None]] = {}
        self._names: dict[str, tuple[str, str]] = {}

    def clear(self) -> None:
        """Find everything anew from now on."""
        self._sparks.clear()
        self._names.clear()

    def spark(self, item: Entry | Item, chosen: Headline | None) -> Spark | None:
        """Return the Spark of a document, or None where it has no number to plot."""
        known = self._sparks.get(item.key)
        if known is None or known[0] != (item.revision, chosen):
            if len(self._sparks) >= MAX_CACHED:
                self._sparks.clear()
            known = self._sparks[item.key] = (item.revision, chosen), self._draw(item, chosen)
        return known[1]

    def names(self, item: Entry) -> str:
        """Return the names of values in a document as one text, folded; those in the first part of a large one."""
        known = self._names.get(item.key)
        if known is None or known[0] != item.revision:
            if len(self._names) >= MAX_CACHED:
                self._names.clear()
            known = self._names[item.key] = item.revision, self._find_names(item.key)
        return known[1]

    def _draw(self, item: Entry | Item, chosen: Headline | None) -> Spark | None:
        series = headline_series(self._documents, item, chosen.number if chosen else None)
        if series is None:
            return None
        name, last = series.name or "value", series.points[-1].text
        unit = chosen.unit if chosen and chosen.number == series.name else ""
        svg = sparkline([point.value for point in series.points], f"{name}: {rounded(last)}")
        return Spark(svg, name, last, unit)

    def _find_names(self, tag: str) -> str:
        try:
            item = self._documents.find(tag)
        except DamagedItemError:
            return ""
        text = bytes(item.record.metrics)[:MAX_LOOKED_AT] if item else b""
        names = dict.fromkeys(_NAME.findall(text))
        return folded("\n".join(name.decode(errors="replace") for name in names))[:MAX_NAMES]


@bp.record_once
def keep_cache(setup: BlueprintSetupState) -> None:
    """Keep the cache with the application."""
    setup.app.extensions[_CACHE] = OverviewCache(setup.app.extensions[NAME].documents)


def overview_cache() -> OverviewCache:
    """Return the OverviewCache of the current application."""
    cache: OverviewCache = current_app.extensions[_CACHE]
    return cache
