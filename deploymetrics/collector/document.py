"""The document ``platform``: composed of what every source found last, and written where that is news. No Flask."""

import logging

import msgspec

from ..clock import from_precise
from ..documents.reserved import RESERVED_TAG

BY = "collector"
#: A document whose values stay the same is written again after this time.
REFRESH_SECONDS = 86400
log = logging.getLogger(__name__)


def write_platform(service, clock, states):
    """Write the document, if its values changed or it is old. ``states`` are the SourceStates of all sources; of two
    with the same metric the first one has it. Raises StorageError."""
    item = service.find(RESERVED_TAG)
    values = _composed(states, item)
    metrics = msgspec.json.encode([values])
    if values and not (item and bytes(item.record.metrics) == metrics and _age(item, clock) < REFRESH_SECONDS):
        service.save_platform(metrics, BY)


def ordered(before, values):
    """The values, those whose names are in ``before`` first and in that order."""
    return {name: values[name] for name in dict.fromkeys([*before, *values]) if name in values}


def _composed(states, item):
    values = {}
    for state in states:
        for metric, value in state.values.items():
            if values.setdefault(metric, value) is not value:
                log.error("source %s: another source has the metric %s already.", state.name, metric)
    if item and any(state.damaged for state in states):
        # What that source found is in the document only: what no other source has stays as it is there.
        before = _decoded(item.record.metrics)
        return ordered(before, {**before, **values})
    return values


def _decoded(metrics):
    """Metric → value of a document that the collector wrote; empty for one of another shape, which was imported."""
    try:
        (values,) = msgspec.json.decode(metrics, type=list[dict[str, object]])
    except (msgspec.DecodeError, ValueError):
        return {}
    return values


def _age(item, clock):
    return (clock.now() - from_precise(item.changed_at)).total_seconds()
