"""Loading the sources that the settings ask for: our own, and those of other packages."""

import logging
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..errors import SettingError
from ..formats.logs import raised_at
from . import Context, Source, SourceError, Value

GROUP = "deploymetrics.sources"
BUILT_IN = (
    ("server", "deploymetrics.sources.server:ServerSource"),
    ("bigfix", "deploymetrics.sources.bigfix:BigFixSource"),
)
log = logging.getLogger(__name__)


class Unloadable(Source):
    """Stands in for a source that cannot be loaded, and always fails, so that its reason is shown."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def collect(self) -> dict[str, Value]:
        raise SourceError(self._reason, permanent=True)

    def configuration(self) -> Any:
        return {"unloadable": self._reason}


def load_sources(context: Context, others: Iterable[EntryPoint] | None = None) -> dict[str, Source]:
    """Return every source that the settings ask for, by name: our own first, then third parties'.

    One that cannot be loaded is among them, and fails. ``others`` are the entry points of third parties, those that are
    installed if None. Raises SettingError for two of one name.
    """
    points = entry_points(group=GROUP) if others is None else others
    rows = [*BUILT_IN, *sorted((point.name, point.value) for point in points)]
    sources: dict[str, Source] = {}
    for name, location in rows:
        if name in sources:
            raise SettingError(f"There are two sources named {name}.")
        source = _load(name, location, context)
        if source is not None:
            sources[name] = source
    return sources


def _load(name: str, location: str, context: Context) -> Source | None:
    """Return the source, or None if the settings do not ask for it."""
    module, _, attribute = location.partition(":")
    try:
        source: type[Source] = getattr(import_module(module), attribute)
        return source(context) if source.is_wanted(context.settings) else None
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, raised_at(error))
        return Unloadable(f"The source cannot be loaded from {location}: {type(error).__name__}.")
