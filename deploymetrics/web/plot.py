"""The page of one large plot, with a URL to share, and its values as CSV."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts.records import Role
from ..clock import from_precise
from ..documents.values.measures import Measures, measures
from ..documents.values.series import Series, read_series, tabulate
from ..documents.versions import Versions, versions_between
from ..errors import BadRequest, DamagedItemError, NotFound
from ..formats.escaping import csv_table
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
    """A series of the large plot, its tag, and the URL of the plot without it."""

    tag: str
    name: str
    series: Series
    without: str


class PlotQuery(NamedTuple):
    """The plot that the URL asks for: (tag, name) of its series, the range of time, and how the series are scaled."""

    pairs: list[tuple[str, str]]
    span: TimeRange
    scale: str

    def url(self, page: str = "/plot", **changes: str) -> str:
        """Return the URL of the same plot with other arguments; ``changes`` may replace those of the time."""
        span = {} if {"range", "from"} & changes.keys() else self.span.arguments
        scale = {"scale": self.scale} if self.scale and "scale" not in changes else {}
        arguments = urlencode({**span, **scale, **changes}, safe="/:")
        series = "&".join(f"series={quote(tag, safe='')}/{quote(name, safe='[]()')}" for tag, name in self.pairs)
        return f"{request.script_root}{page}?{series}{arguments and '&'}{arguments}"


@bp.get("/plot")
@require_role(Role.MASTER_OPERATOR)
def plot_page() -> ResponseReturnValue:
    """Show one plot of up to five series, from one tag or several."""
    query = read_query()
    legend, notes, names = read_lines(query)
    lines = [line for line in legend if line.series.points]
    all_series = [line.series for line in lines]
    has_several_tags = len({line.tag for line in lines}) > 1
    own_scales = len(lines) > 1 and (query.scale == "own" or not query.scale and are_far_apart(all_series))
    start, end = _bounds(query.span, all_series)
    svg = None
    if lines:
        count = counted(sum(len(series.points) for series in all_series), "value")
        title = f"{', '.join(f'{line.tag} {line.name}' if has_several_tags else line.name for line in lines)}: {count}"
        svg = large_plot(
            title,
            all_series,
            start,
            end,
            lambda number, point: with_unit(point.text, lines[number].name),
            own_scales=own_scales,
            zone=preferences().zone_info(),
        )
    rows = figures(lines)
    pick, numbers = read_adding(query, names)
    return render_template(
        "web/plot.html",
        query=query,
        legend=legend,
        notes=notes,
        lines=lines,
        svg=svg,
        own_scales=own_scales,
        start=start,
        end=end,
        ranges=RANGES,
        rows=rows[:MAX_ROWS],
        count=len(rows),
        pick=pick,
        numbers=numbers[:MAX_CHOICES],
        more_numbers=len(numbers) - MAX_CHOICES,
        several=has_several_tags,
        most=MAX_SERIES,
    )


@bp.get("/plot.csv")
@require_role(Role.MASTER_OPERATOR)
def plot_table() -> ResponseReturnValue:
    """Send the figures of a plot as CSV: a column for the time, and one for each series."""
    lines, _, _ = read_lines(read_query())
    rows = ([at, *texts] for at, texts in reversed(figures(lines)))
    table = csv_table(["time", *(f"{line.tag} {line.name}" for line in lines)], rows)
    headers = {"Content-Disposition": 'attachment; filename="plot.csv"', "Cache-Control": "no-store"}
    return Response(table, mimetype="text/csv", headers=headers)


def read_query() -> PlotQuery:
    """Return the PlotQuery in the current request's URL: ``series`` as ``tag/name``, the time, and ``scale``."""
    texts = dict.fromkeys(text.strip() for text in request.args.getlist("series"))
    pairs = [(tag, name) for tag, _, name in (text.partition("/") for text in texts if text) if tag]
    scale = request.args.get("scale", "")
    return PlotQuery(pairs[:MAX_SERIES], read_time_range("month"), scale if scale in ("own", "one") else "")


def read_lines(query: PlotQuery) -> tuple[list[Line], list[str], dict[str, list[str]]]:
    """Return the lines of a plot in the order of the query, notes for the person, and the names of numbers by tag."""
    lines: dict[tuple[str, str], Line] = {}
    notes = [f"“{query.span.wrong}” is not a date such as 2026-03-31."] if query.span.wrong else []
    names_by_tag: dict[str, list[str]] = {}
    for tag in dict.fromkeys(tag for tag, _ in query.pairs):
        try:
            versions, plottable = read_measures(tag, query.span)
        except (NotFound, BadRequest, DamagedItemError) as error:
            notes.append(f"{tag}: {error.detail}")
            continue
        names_by_tag[tag] = list(plottable.by_name)
        names = [name for pair_tag, name in query.pairs if pair_tag == tag]
        notes += (f"{tag} has no number {name} in this time." for name in names if name not in plottable.by_name)
        chosen = [plottable.by_name[name] for name in names if name in plottable.by_name]
        for series in read_series(versions.items, plottable, chosen):
            without = query._replace(pairs=[pair for pair in query.pairs if pair != (tag, series.name)])
            lines[tag, series.name] = Line(tag, series.name or "value", series, without.url())
        if versions.sampled:
            notes.append(f"{tag}: {SAMPLED.format(len(versions.items))}")
    return [lines[pair] for pair in query.pairs if pair in lines], notes, names_by_tag


def read_measures(tag: str, span: TimeRange) -> tuple[Versions, Measures]:
    """Return the versions of a tag in a range of time, and their Measures."""
    versions = versions_between(services().documents, tag, span.since, span.until)
    return versions, measures(versions.items)


def read_adding(query: PlotQuery, names_by_tag: dict[str, list[str]]) -> tuple[str, list[str]]:
    """Return the tag in the argument ``pick``, by default that of the first series, and its numbers not yet plotted."""
    tag = request.args.get("pick", "").strip() or (query.pairs[0][0] if query.pairs else "")
    names = names_by_tag.get(tag, [])
    if tag and tag not in names_by_tag:
        with suppress(NotFound, BadRequest, DamagedItemError):
            names = list(read_measures(tag, query.span)[1].by_name)
    return tag, [name for name in names if (tag, name) not in query.pairs]


def figures(lines: Sequence[Line]) -> list[tuple[str, list[str]]]:
    """Return the plot as a table of (time, texts), newest first; a text is empty where a series has no value."""
    columns = [
        {(point.changed_at, line.tag, point.version): point.text for point in line.series.points} for line in lines
    ]
    return [(at, texts) for (at, _, _), texts in reversed(tabulate(columns))]


@bp.app_template_global()
def plot_url(tag: str, name: str, span: TimeRange) -> str:
    """Return the URL of the large plot of one number."""
    return PlotQuery([(tag, name)], span, "").url()


def _bounds(span: TimeRange, all_series: Sequence[Series]) -> tuple[datetime, datetime]:
    """Return the ends of the time axis: those of the range, else the first and last value."""
    times = [point.changed_at for series in all_series for point in series.points]  # a clock may have been set back
    start = span.start or (from_precise(min(times)) if times else span.now)
    end = span.end or (from_precise(max(times)) if times and span.name == "all" else span.now)
    return start, max(end, start)
