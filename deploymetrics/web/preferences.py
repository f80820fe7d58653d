"""A person's preferences for the pages, in a cookie: the density of lines, and the time zone."""

from datetime import UTC, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask import flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts.records import Role
from ..http.access import require_role
from . import bp
from .login import landing

COOKIE = "deploymetrics_view"
DENSITIES = ("compact", "comfortable")
GMT = "GMT"
_YEAR = 365 * 86400


class Preferences(NamedTuple):
    """The preferences: ``density`` is one of DENSITIES, ``zone`` GMT or a name such as ``Europe/Berlin``."""

    density: str = DENSITIES[0]
    zone: str = GMT

    def zone_info(self) -> tzinfo:
        """Return the zone in which times are shown."""
        return find_zone(self.zone) or UTC


@bp.app_template_global()
def preferences() -> Preferences:
    """Return the Preferences in the current request's cookie; invalid ones are ignored."""
    current: Preferences | None = g.get("preferences")
    if current is None:
        density, _, zone = request.cookies.get(COOKIE, "").partition(":")
        current = Preferences(density if density in DENSITIES else DENSITIES[0], zone if find_zone(zone) else GMT)
        g.preferences = current
    return current


def find_zone(name: str) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``, or None."""
    if name == GMT:
        return UTC
    try:
        return ZoneInfo(name) if name.isascii() and 0 < len(name) < 60 else None
    except (ValueError, OSError, LookupError):
        return None


@bp.get("/preferences")
@require_role(*Role)
def show_preferences() -> ResponseReturnValue:
    """Show the form for the preferences."""
    return render_template("web/preferences.html", chosen=preferences(), next=landing(request.args.get("next")))


@bp.post("/preferences")
@require_role(*Role)
def save_preferences() -> ResponseReturnValue:
    """Store the form in the cookie, and go back to the page from which the person came."""
    current = preferences()
    density, zone = request.form.get("density", current.density), request.form.get("zone", current.zone).strip() or GMT
    target = landing(request.form.get("next"))
    if density not in DENSITIES or find_zone(zone) is None:
        error = f"There is no time zone “{zone[:60]}”. Use a name such as Europe/Berlin."
        return render_template("web/preferences.html", wrong=error, chosen=Preferences(density, zone), next=target), 400
    answer = redirect(target)
    answer.set_cookie(
        COOKIE,
        f"{density}:{zone}",
        max_age=_YEAR,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
        path=request.script_root or "/",
    )
    if zone != current.zone:
        flash(f"Times are in {zone} now.")
    return answer
