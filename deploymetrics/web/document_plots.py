"""The small plots on the page of a document, of numbers that change over time, and the same numbers as a table."""

from collections.abc import Iterator, Sequence
from typing import Any

from flask import request

from ..documents.service import Item
from ..documents.values.measures import Measure, Measures, measures
from ..documents.values.places import shorten
from ..documents.values.series import Series, read_series
from ..documents.versions import Versions, versions_between
from ..errors import DamagedItemError
from ..services import services
from .figures.layout import MAX_CELL
from .figures.small_plots import MAX_POINTS, small_plot
from .paging import paginate
from .preferences import preferences
from .template_filters import page_number
from .time_range import read_time_range

PLOTS_PER_PAGE = 12
MAX_FIGURES = 100
#: How many numbers are read to see which of them change.
MAX_READ = 20_000
#: Numbers of an array's elements; where there are more, only what sums them up is plotted at first.
MAX_ELEMENTS = 24
SAMPLED = "The versions are too many or too large to read them all; {:,} of them, spread over the time, are shown."


def read_plots(tag: str) -> dict[str, Any]:
    """Return the template variables for the plots of a document, as the current request's URL asks for them.

    ``range``, or ``from`` and ``to``, say the time, ``plots`` the page of them, ``name`` what is searched for, and
    ``every`` asks for those as well that never change. ``figures`` are (series, svg), ``table`` has the same figures as
    (time, texts), ``matches`` counts the series that the search ``q`` found, and ``quiet`` those that are left out
    because they never change or name things.
    """
    span, notes = read_time_range(), []
    try:
        versions = versions_between(services().documents, tag, span.since, span.until)
    except DamagedItemError as error:  # the document itself can be read
        versions, notes = Versions([], False), [f"The history cannot be read: {error.detail}"]
    plottable = measures(versions.items)
    q, every = request.args.get("name", "").strip()[:200], request.args.get("every") == "1"
    matching = [measure for measure in plottable.by_name.values() if q.casefold() in measure.name.casefold()]
    chosen, by_name = (matching, {}) if q or every else choose_measures(versions.items, plottable, matching)
    on_page, page, pages = paginate(chosen, page_number("plots"), PLOTS_PER_PAGE)
    if not by_name:
        by_name = {series.name: series for series in read_series(versions.items, plottable, on_page)}
    all_series = [series for measure in on_page if (series := by_name[measure.name]).points]
    figures = [(series, small_plot(series.name or "value", series, preferences().zone_info())) for series in all_series]
    columns = [{point.version: shorten(point.text, MAX_CELL) for point in series.points} for series in all_series]
    newest = [item for item in versions.items if not item.deleted][: -MAX_FIGURES - 1 : -1]
    table = [(item.changed_at, [texts.get(item.version, "") for texts in columns]) for item in newest]
    notes += _notes(versions, plottable, all_series)
    return {
        "figures": figures,
        "table": table,
        "notes": notes,
        "span": span,
        "matches": len(chosen),
        "quiet": len(matching) - len(chosen),
        "page": page,
        "pages": pages,
        "q": q,
        "every": every,
    }


def choose_measures(
    items: Sequence[Item], plottable: Measures, matching: Sequence[Measure]
) -> tuple[list[Measure], dict[str, Series]]:
    """Return the Measures to plot by default: those that change and do not just identify a thing; and their Series.

    Of an array these are sums and means of its elements' numbers, of a small one also those of each element. Which of
    many numbers change, a part of the versions says; then there are no Series, which would be of that part only.
    """
    are_few = sum(measure.is_element for measure in matching) <= MAX_ELEMENTS
    telling = [measure for measure in matching if measure.tells_something(of_elements=are_few)]
    step = 1 + len(items) * len(telling) // MAX_READ
    sample = items[::-step][::-1]
    by_name = {series.name: series for series in read_series(sample, plottable, telling)}
    texts = {name: [point.text for point in series.points] for name, series in by_name.items()}
    changing = [measure for measure in telling if len(texts[measure.name]) == 1 or len({*texts[measure.name]}) > 1]
    return changing, by_name if step == 1 else {}


def _notes(versions: Versions, plottable: Measures, all_series: list[Series]) -> Iterator[str]:
    if versions.sampled:
        yield SAMPLED.format(len(versions.items))
    if plottable.cut:
        yield "There are more numbers than a page can read; not all of them are listed here."
    if any(len(series.points) > MAX_POINTS for series in all_series):
        yield f"Of each plot at most {MAX_POINTS} values are drawn, the lowest and highest of each stretch among them."
    if all_series and len(versions.items) > MAX_FIGURES:
        yield f"The table has the newest {MAX_FIGURES} of {len(versions.items):,} versions."
