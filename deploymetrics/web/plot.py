"""The page of one plot, large and with an address to share, and its figures as CSV."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts.records import Role
from ..clock import from_precise
from ..documents.values.measures import Measures, measures
from ..documents.values.series import Point, Series, over_time
from ..documents.versions import Versions, versions_between
from ..errors import BadRequest, DamagedItemError, NotFound
from ..formats.csvtable import csv_table
from ..http.access import require_role
from ..services import services
from . import bp
from .document_plots import SAMPLED
from .figures.large_plot import are_far_apart, large_plot
from .preferences import preferences
from .template_filters import counted, with_unit
from .time_range import RANGES, TimeRange, read_time_range

#: How many series one plot has, how many rows its table, and how many names its list.
MAX_SERIES = 5
MAX_ROWS = 200
MAX_CHOICES = 400


class Line(NamedTuple):
    """A series of the large plot, the tag it is from, and the address of the plot without it."""

    tag: str
    key: str
    series: Series
    without: str

    @property
    def name(self) -> str:
        """What it is called where the tag is known."""
        return self.key or "value"

    @property
    def lowest(self) -> Point:
        """The lowest point."""
        return min(self.series.points, key=lambda point: point.value)

    @property
    def highest(self) -> Point:
        """The highest point."""
        return max(self.series.points, key=lambda point: point.value)


class PlotQuery(NamedTuple):
    """What the URL of a plot asks for: (tag, name) of its series, the time, and how they are scaled."""

    pairs: list[tuple[str, str]]
    span: TimeRange
    scale: str

    def url(self, page: str = "/plot", **changes: str) -> str:
        """Return the address of the same plot; ``changes`` are arguments that are added, or replace those of time."""
        span = {} if {"range", "from"} & changes.keys() else self.span.arguments
        scale = {"scale": self.scale} if self.scale and "scale" not in changes else {}
        more = urlencode({**span, **scale, **changes}, safe="/:")
        return f"{request.script_root}{page}?{_series_query(self.pairs)}{more and '&'}{more}"

    def address(self) -> str:
        """Return the whole address, to send to somebody."""
        return f"{request.host_url.rstrip('/')}{self.url()}"


class Drawing(NamedTuple):
    """What was found of what was asked for; ``names`` has for each tag the names of its numbers."""

    lines: list[Line]
    notes: list[str]
    names: dict[str, list[str]]


@bp.get("/plot")
@require_role(Role.MASTER_OPERATOR)
def plot_page() -> ResponseReturnValue:
    """Show one plot of up to five series, from one tag or several."""
    query = read_query()
    drawing = draw(query)
    lines = [line for line in drawing.lines if line.series.points]
    every = [line.series for line in lines]
    own_scales = len(lines) > 1 and (query.scale == "own" or not query.scale and are_far_apart(every))
    start, end = _bounds(query.span, every)
    svg = None
    if lines:
        count = counted(sum(len(one.points) for one in every), "value")
        title = f"{', '.join(_label(line, lines) for line in lines)}: {count}"
        svg = large_plot(title, every, start, end, _shown(lines), own_scales=own_scales, zone=preferences().zone_info())
    rows = figures(lines)
    return render_template(
        "web/plot.html",
        query=query,
        drawing=drawing,
        lines=lines,
        svg=svg,
        own_scales=own_scales,
        start=start,
        end=end,
        ranges=RANGES,
        rows=rows[:MAX_ROWS],
        count=len(rows),
        adding=read_adding(query, drawing),
        several=len({line.tag for line in lines}) > 1,
        most=MAX_SERIES,
    )


@bp.get("/plot.csv")
@require_role(Role.MASTER_OPERATOR)
def plot_table() -> ResponseReturnValue:
    """Send the figures of a plot as CSV: a column for the time, and one for each series."""
    lines = draw(read_query()).lines
    rows = ([at, *texts] for at, texts in reversed(figures(lines)))
    table = csv_table(["time", *(f"{line.tag} {line.name}" for line in lines)], rows)
    headers = {"Content-Disposition": 'attachment; filename="plot.csv"', "Cache-Control": "no-store"}
    return Response(table, mimetype="text/csv", headers=headers)


def read_query() -> PlotQuery:
    """Return what the current request's URL asks for: ``series`` as ``tag/name``, the time, and ``scale``."""
    texts = dict.fromkeys(text.strip() for text in request.args.getlist("series"))
    pairs = [(tag, name) for tag, _, name in (text.partition("/") for text in texts if text) if tag]
    scale = request.args.get("scale", "")
    return PlotQuery(pairs[:MAX_SERIES], read_time_range("month"), scale if scale in ("own", "one") else "")


def draw(query: PlotQuery) -> Drawing:
    """Return the lines of a plot in the order in which they are asked for."""
    series_of: dict[tuple[str, str], Series] = {}
    notes = [f"“{query.span.wrong}” is not a date such as 2026-03-31."] if query.span.wrong else []
    every: dict[str, list[str]] = {}
    for tag in dict.fromkeys(tag for tag, _ in query.pairs):
        try:
            versions, known = look(tag, query.span)
        except (NotFound, BadRequest, DamagedItemError) as error:
            notes.append(f"{tag}: {error.detail}")
            continue
        every[tag] = list(known.by_name)
        names = [name for other, name in query.pairs if other == tag]
        wanted = [known.by_name[name] for name in names if name in known.by_name]
        series = over_time(versions.items, wanted, repeated=known.repeated)
        series_of.update(((tag, one.name), one) for one in series)
        notes += (f"{tag} has no number {name} in this time." for name in names if name not in known.by_name)
        if versions.sampled:
            notes.append(f"{tag}: {SAMPLED.format(len(versions.items))}")
    lines = [
        Line(*pair, series_of[pair], query._replace(pairs=[other for other in query.pairs if other != pair]).url())
        for pair in query.pairs
        if pair in series_of
    ]
    return Drawing(lines, notes, every)


def look(tag: str, span: TimeRange) -> tuple[Versions, Measures]:
    """Return the versions of a tag in a span, and what there is to plot in them."""
    versions = versions_between(services().documents, tag, span.since, span.until)
    return versions, measures(versions.items)


class Adding(NamedTuple):
    """What can be added to a plot: the tag that is chosen from, and the names of its numbers."""

    tag: str
    names: list[str]
    more: int


def read_adding(query: PlotQuery, drawing: Drawing) -> Adding:
    """Return what can be added of the tag in the argument ``pick``, which at first is that of the first series."""
    tag = request.args.get("pick", "").strip() or (query.pairs[0][0] if query.pairs else "")
    names = drawing.names.get(tag)
    if names is None and tag:
        try:
            names = list(look(tag, query.span)[1].by_name)
        except (NotFound, BadRequest, DamagedItemError):
            names = []
    others = [name for name in names or [] if (tag, name) not in query.pairs]
    return Adding(tag, others[:MAX_CHOICES], max(len(others) - MAX_CHOICES, 0))


def figures(lines: Sequence[Line]) -> list[tuple[str, list[str]]]:
    """Return (time, texts), newest first; a text is empty where a series has no value at that time."""
    rows: dict[tuple[str, str, int], list[str]] = {}
    for index, line in enumerate(lines):
        for point in line.series.points:
            key = point.changed_at, line.tag, point.version
            rows.setdefault(key, [""] * len(lines))[index] = point.text
    return [(at, rows[at, tag, version]) for at, tag, version in sorted(rows, reverse=True)]


def plot_url(tag: str, name: str, span: TimeRange) -> str:
    """Return the address of the plot of one number."""
    return PlotQuery([(tag, name)], span, "").url()


def _series_query(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"series={quote(tag, safe='')}/{quote(name, safe='[]()')}" for tag, name in pairs)


def _bounds(span: TimeRange, every: Sequence[Series]) -> tuple[datetime, datetime]:
    """Return where the axis of time begins and ends: with the span, or with the first and last value."""
    times = [from_precise(at) for one in every for at in _times(one)]
    start = span.start or min(times, default=span.now)
    end = span.end or (span.now if span.name != "all" else max(times, default=span.now))
    return start, max(end, start)


def _times(series: Series) -> list[str]:
    times = [point.changed_at for point in series.points]  # a clock may have been set back
    return [min(times), max(times)] if times else []


def _label(line: Line, lines: Sequence[Line]) -> str:
    return line.name if len({one.tag for one in lines}) == 1 else f"{line.tag} {line.name}"


def _shown(lines: Sequence[Line]) -> Callable[[int, Point], str]:
    return lambda number, point: with_unit(point.text, lines[number].name)
