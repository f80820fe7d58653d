"""Jinja filters and globals of the pages: times, sizes, roles and tags as people read them."""

import re
import shlex
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app, request, url_for
from markupsafe import Markup, escape

from ..clock import as_last_changed, from_precise
from ..documents.reserved import RESERVED_TAG
from ..documents.values import numbers
from ..formats import escaping
from ..formats.lookalikes import is_invisible
from ..schemas import whole_number
from ..services import services
from . import bp
from .preferences import preferences

_UNITS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
#: Of the time up to a moment to come, a minute that has begun counts as one.
_BEGUN = 59
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (1000, "KB"))
#: Ends of names that say the unit of a number, and how it is written.
_ENDINGS = (("_percent", " %"), ("_pct", " %"), ("_milliseconds", " ms"), ("_ms", " ms"), ("_seconds", " s"))
#: Roles, and what a token may, for people.
WORDS = {
    "master-operator": "master operator",
    "operator": "operator",
    "webui-app": "WebUI application",
    "scraper": "scraper",
    "full": "all that the account may",
    "read-only": "only read",
    "scrape": "only read /metrics",
}


bp.add_app_template_filter(WORDS.__getitem__, "in_words")
bp.add_app_template_filter(shlex.quote, "shell_word")
bp.add_app_template_test(RESERVED_TAG.__eq__, "reserved")


def page_number(name: str) -> int:
    """Return the page number in an argument of the URL, from 1; 1 if the argument is not valid."""
    return max(whole_number(request.args.get(name, "")[:9]) or 1, 1)


@bp.app_template_filter()
def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 tag``, ``1,500 tags``."""
    return escaping.counted(count, noun, ",")


@bp.app_template_filter()
def duration(seconds: float) -> str:
    """Return a number of seconds in its largest unit: ``3 minutes``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return counted(int(seconds // size), unit)
    return "less than a minute"


@bp.app_template_filter()
def every(seconds: int | None) -> str:
    """Return an interval for people: ``every 6 hours``, ``every hour``, or ``at no fixed time`` for 0 or None."""
    return f"every {duration(seconds).removeprefix('1 ')}" if seconds else "at no fixed time"


@bp.app_template_filter()
def ago(changed_at: str | datetime) -> str:
    """Return ``3 minutes ago``, ``just now`` or ``in 3 minutes`` for a precise text or a datetime."""
    # Versions of one moment are told apart by microseconds.
    seconds = round((services().clock.now() - _as_datetime(changed_at)) / timedelta(seconds=1))
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    # What has just been set to end in 30 days ends in 30 days, and not in 29.
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(_BEGUN - seconds)}"


@bp.app_template_filter()
def exact(changed_at: str | datetime) -> str:
    """Return ``12 Jan 2018 12:00:03``, in the person's time zone, for a precise text or a datetime."""
    moment = _as_datetime(changed_at).astimezone(preferences().zone_info())
    return f"{as_last_changed(moment)}:{moment.second:02d}"


@bp.app_template_filter()
def ago_time(changed_at: str | datetime) -> Markup:
    """Return the text of ``ago`` as a ``time`` element, which shows the exact time under the pointer."""
    moment = _as_datetime(changed_at)
    title = f"{exact(moment)} {escape(preferences().zone)}"
    return Markup(f'<time datetime="{moment.isoformat()}" title="{title}">{ago(moment)}</time>')


@bp.app_template_filter()
def datetime_local(moment: datetime | None) -> str:
    """Return a datetime, in the person's time zone, as the value of an input of the type datetime-local."""
    return moment.astimezone(preferences().zone_info()).strftime("%Y-%m-%dT%H:%M") if moment else ""


@bp.app_template_filter()
def size(count: int) -> str:
    """Return a number of bytes as ``1.2 KB``."""
    if count < 1000:
        return f"{count} B"
    divisor, unit = next(row for row in _SIZES if count >= row[0])
    return f"{count / divisor:.1f} {unit}"


@bp.app_template_global()
def tag_url(page: str, tag: str, **values: Any) -> str:
    """Return the URL of a page about a tag."""
    return url_for(f"web.{page}", tag=tag, **values)


@bp.app_template_global()
def rows_for(text: str) -> int:
    """Return how many rows a textarea for the text has at first."""
    return min(max(text.count("\n") + 2, 8), 24)


@bp.app_template_filter()
def from_timestamp(seconds: float) -> datetime:
    """Convert seconds since 1970 to an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)


@bp.app_template_filter()
def visible(tag: str) -> str:
    """Replace the invisible characters in a tag by their code, ``⟨U+200B⟩``, so that no tag passes for another."""
    if tag.isascii():
        return tag
    return "".join(f"⟨U+{ord(char):04X}⟩" if is_invisible(char) else char for char in tag)


@bp.app_template_filter()
def breakable(name: str) -> Markup:
    """Return a name as HTML whose line may break after each separator of its words."""
    return Markup(re.sub(r"([_.\])/-])(?=.)", r"\1<wbr>", str(escape(name))))


@bp.app_template_filter()
def with_unit(text: str, name: str, chosen: str = "") -> str:
    """Return a number for people, rounded and with its unit: ``93 %``.

    That is the one that was chosen, that of the setting UNITS, or that of the end of its name.
    """
    name = name.rstrip(")").rpartition(".")[2]
    if unit := chosen or dict(word.split("=") for word in current_app.config["UNITS"]).get(name):
        return f"{numbers.shorten_number(text)} {unit}"
    count = numbers.as_float(text)
    if name.endswith("_bytes") and 0 <= count < 1e15:
        return size(int(count))
    unit = next((unit for end, unit in _ENDINGS if name.endswith(end)), "")
    return f"{numbers.shorten_number(text)}{unit}"


def fold_case(text: str) -> str:
    """Fold a text for a search, which ignores case, and the form in which an accent is encoded."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _as_datetime(changed_at: str | datetime) -> datetime:
    return from_precise(changed_at) if isinstance(changed_at, str) else changed_at
