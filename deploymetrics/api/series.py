"""The numbers of a document over time, for analysts and Grafana: as JSON, or as CSV with a column for each."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ..accounts.records import Role
from ..clock import from_precise
from ..documents.values.measures import measures
from ..documents.values.series import Point, Series, read_series, tabulate
from ..documents.versions import versions_between
from ..formats.escaping import csv_table
from ..http.access import require_role
from ..http.arguments import SeriesArguments
from ..http.requests import current_request
from ..http.responses import Response, csv_response, json_response
from ..schemas import load
from ..services import services
from .openapi_schemas import SERIES, SINCE_UNTIL, TEXT, answers, list_of
from .views import bp

#: How many numbers are answered where none is named.
MAX_SERIES = 100
_NAME = "The name of a number, as the plots and /metrics have it; may be given again. Without it, all of them."
_QUERY = (
    ("name", list_of(TEXT), _NAME),
    *SINCE_UNTIL,
    ("step", TEXT, "Of each so many seconds, or 5m, 1h, 1d, the last value only."),
)


@bp.get("/deploymentmetrics/<tag>/series")
@require_role(Role.MASTER_OPERATOR)
@answers(SERIES, 304, 404, 406, query=_QUERY, csv=True, headers=("ETag",))
def show_series(tag: str) -> Response:
    """Show numbers of the document with this tag over time, oldest first. An extension, as JSON or CSV."""
    request = current_request()
    arguments = load(SeriesArguments(), request.args.to_dict())
    versions = versions_between(services().documents, tag, arguments["since"], arguments["until"])
    items = [item for item in versions.items if item.changed_at >= arguments["since"]]
    plottable = measures(items)
    names = list(dict.fromkeys(request.args.getlist("name")))
    numbers = [measure for measure in plottable.by_name.values() if not measure.function][:MAX_SERIES]
    chosen = [plottable.by_name[name] for name in names if name in plottable.by_name] if names else numbers
    all_series = read_series(items, plottable, chosen)
    if step := arguments["step"]:
        all_series = [_last_of_steps(series, step) for series in all_series]
    if request.prefers_csv:
        return csv_response(_table(all_series))
    by_name = {series.name: series.points for series in all_series}
    members = [{"name": name, "points": _points_json(by_name.get(name, []))} for name in names or by_name]
    is_complete = not versions.sampled and (bool(names) or len(chosen) < MAX_SERIES)
    return json_response({"tag": tag, "complete": is_complete, "series": members})


def _last_of_steps(series: Series, step: int) -> Series:
    """Return the series with only the last point of each ``step``, in seconds."""
    points = {from_precise(point.changed_at).timestamp() // step: point for point in series.points}
    return series._replace(points=list(points.values()))


def _points_json(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [{"time": at, "version": version, "value": msgspec.Raw(text.encode())} for version, at, text, _ in points]


def _table(all_series: Sequence[Series]) -> str:
    columns = [{(point.version, point.changed_at): point.text for point in series.points} for series in all_series]
    rows = ([time, version, *texts] for (version, time), texts in tabulate(columns))
    return csv_table(["time", "version", *(series.name for series in all_series)], rows)
