"""What the pages say of times, sizes and roles, and read from their addresses."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from flask import request, url_for
from markupsafe import Markup, escape

from ..clock import MONTHS, from_precise
from ..services import services
from . import bp

_UNITS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
# What nobody sees, or sees as a space: by category, and by name where the category is that of letters and marks.
_UNSEEN = {"Cf", "Zl", "Zp", "Zs"}
_UNSEEN_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
ROLES = {
    "master-operator": "master operator",
    "operator": "operator",
    "webui-app": "WebUI application",
}
EVERY = (
    (0, "not expected"), (300, "5 minutes"), (900, "15 minutes"), (3600, "hour"), (6 * 3600, "6 hours"),
    (86400, "day"), (7 * 86400, "week"), (31 * 86400, "month"),
)


def page_number(name):
    """The page, from 1, that an argument of the URL names; 1 where it makes no sense."""
    text = request.args.get(name, "1")
    return max(int(text[:9]), 1) if text.isascii() and text.isdecimal() else 1


@bp.app_template_filter()
def span(seconds):
    """``3 minutes``: a number of seconds in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "a moment"


@bp.app_template_filter()
def ago(changed_at, moment=None):
    """``3 minutes ago``, for a time as the storage writes it or an aware datetime."""
    changed = from_precise(changed_at) if isinstance(changed_at, str) else changed_at
    # Versions of one moment are told apart by microseconds.
    seconds = round(((moment or services().clock.now()) - changed) / timedelta(seconds=1))
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def ago_lasts(changed_at, moment):
    """For how many seconds from this moment on ``ago`` says the same, or a little less."""
    seconds = (moment - from_precise(changed_at)) / timedelta(seconds=1)
    seconds = 0 if -1 < seconds < 0 else seconds
    unit = next((size for size, _ in _UNITS if abs(seconds) >= size - 1), 60)
    return max(unit - seconds % unit - 1, 0)


@bp.app_template_filter()
def exact(changed_at):
    """``12 Jan 2018 12:00:03`` (GMT), for a time as the storage writes it or an aware datetime."""
    at = from_precise(changed_at) if isinstance(changed_at, str) else changed_at
    return f"{at.day:02d} {MONTHS[at.month - 1]} {at.year:04d} {at.hour:02d}:{at.minute:02d}:{at.second:02d}"


@bp.app_template_filter()
def size(count):
    """``1.2 KB``: a number of bytes."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} KB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


@bp.app_template_filter()
def role_name(role):
    """``master operator``."""
    return ROLES[role]


@bp.app_template_global()
def tag_url(page, tag, **values):
    """The address of a page about a tag."""
    return url_for(f"web.{page}", tag=tag, **values)


@bp.app_template_global()
def every_choices():
    """(seconds, words) of what a post can be expected to come every …"""
    return EVERY


@bp.app_template_global()
def rows_for(text):
    """How many lines a box for the text shows at first."""
    return min(max(text.count("\n") + 2, 8), 24)


@bp.app_template_filter()
def moment(seconds):
    """The aware datetime of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


@bp.app_template_filter()
def visible(tag):
    """The tag with the names of its invisible characters in place of them, so that no tag passes for another."""
    return tag if tag.isascii() else "".join(map(_shown, tag))


def _shown(char):
    unseen = char != " " and unicodedata.category(char) in _UNSEEN or _UNSEEN_LETTERS.match(char)
    return f"⟨U+{ord(char):04X}⟩" if unseen else char


@bp.app_template_filter()
def breakable(name):
    """The name with places where a line may break: after what joins its words."""
    return Markup(re.sub(r"([_.\])/-])(?=.)", r"\1<wbr>", str(escape(name))))
