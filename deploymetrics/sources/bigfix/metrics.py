"""The metrics that a BigFix server is asked for, and the conversion of its answers."""

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from .. import TextValue

NUMBER, TEXT, COUNTS, ANY = "number", "text", "counts", "any"


class Metric(NamedTuple):
    """A metric that a BigFix server is asked for: a row of relevance.json.

    ``relevance``: the expression, its cheapest conditions first.
    ``answer``: what kind of answer makes sense, NUMBER, TEXT, COUNTS or ANY.
    ``every``: after how many seconds it is asked again; 0 for each round.
    """

    name: str
    relevance: str
    answer: str = ANY
    every: int = 0


class RelevanceError(Exception):
    """The server evaluated an expression to an error, or to an answer of the wrong kind."""


def default_metrics() -> list[Metric]:
    """Return the Metrics that ship with the package."""
    text = files(__package__).joinpath("relevance.json").read_text(encoding="utf-8")
    return [Metric(**row) for row in json.loads(text)]


def metrics_of(settings: dict[str, Any]) -> list[Metric]:
    """Return the default Metrics as BIGFIX_METRICS extends, changes and drops them."""
    rows = {metric.name: metric for metric in default_metrics()}
    for name, change in settings["BIGFIX_METRICS"].items():
        if not change:
            rows.pop(name, None)
            continue
        row = {"relevance": change} if isinstance(change, str) else change
        rows[name] = rows.get(name, Metric(name, ""))._replace(**row)
    return list(rows.values())


def value_of(metric: Metric, result: Any) -> TextValue:
    """Convert a SessionRelevanceResult to the value of a metric; raises RelevanceError for the wrong kind of answer."""
    answers, kind = result.answers, metric.answer
    are_pairs = all(map(_is_pair, answers))
    if kind == COUNTS:
        if not are_pairs or not all(
            isinstance(name, str) and _is_integer(count) and count >= 0 for name, count in answers
        ):
            raise RelevanceError("The answers are not pairs of a text and a number.")
        return _pairs_as_dict(answers)
    if kind == ANY and answers and are_pairs:
        return _pairs_as_dict(answers)
    if kind == ANY and result.plural:
        return [_scalar_text(answer) for answer in answers]
    if len(answers) != 1:
        raise RelevanceError(f"There are {len(answers)} answers in place of one.")
    (answer,) = answers
    if kind == NUMBER and not _is_integer(answer):
        raise RelevanceError("The answer is not a whole number.")
    if kind == TEXT and not isinstance(answer, str | bool):
        raise RelevanceError("The answer is not a text.")
    return _scalar_text(answer)


def _is_integer(answer: Any) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool)


def _is_pair(answer: Any) -> bool:
    return isinstance(answer, tuple | list) and len(answer) == 2


def _pairs_as_dict(pairs: Sequence[Any]) -> dict[str, str]:
    values = {_scalar_text(key): _scalar_text(value) for key, value in pairs}
    if len(values) != len(pairs):
        raise RelevanceError("The answers name something twice.")
    return values


def _scalar_text(answer: Any) -> str:
    if not isinstance(answer, str | int) and not (isinstance(answer, float) and math.isfinite(answer)):
        raise RelevanceError("An answer is neither text nor a number.")
    return str(answer)
