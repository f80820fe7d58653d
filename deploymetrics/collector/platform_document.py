"""The document ``platform``: composed of every source's last values, and written when they have changed."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ..clock import Clock, from_precise
from ..documents.reserved import RESERVED_TAG
from ..documents.service import Documents
from ..storage import Item
from .states import SourceState, keep_order

AUTHOR = "collector"
#: A document whose values stay the same is written again after this time.
REFRESH_SECONDS = 86400
log = logging.getLogger(__name__)


def write_platform(documents: Documents, clock: Clock, states: Sequence[SourceState]) -> None:
    """Write ``platform`` if its values, by the first source for a metric, changed or are old; raises StorageError."""
    item = documents.find(RESERVED_TAG)
    values = _compose(states, item)
    metrics = msgspec.json.encode([values])
    if values and item and item.record.json == metrics:
        age = clock.now() - from_precise(item.changed_at)
        if 0 <= age.total_seconds() < REFRESH_SECONDS:  # a later time is of a clock that was ahead
            return
    if values:
        documents.save_platform(metrics, AUTHOR)


def _compose(states: Sequence[SourceState], item: Item | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for state in states:
        for metric, value in state.values.items():
            if values.setdefault(metric, value) is not value:
                log.error("source %s: another source has the metric %s already.", state.name, metric)
    if item and any(state.damaged for state in states):
        # What that source found is in the document only: what no other source has stays as it is there.
        with suppress(msgspec.DecodeError, ValueError):  # of an imported one of another shape
            (before,) = msgspec.json.decode(item.record.metrics, type=list[dict[str, Any]])
            return keep_order(before, {**before, **values})
    return values
