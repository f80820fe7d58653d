"""The audit log, for master operators."""

from itertools import islice

from flask import current_app, render_template, request
from flask.typing import ResponseReturnValue

from ..accounts.records import Role
from ..http.access import require_role
from ..telemetry import telemetry_of
from . import bp
from .template_filters import page_number

PER_PAGE = 100
MAX_PAGES = 100


@bp.get("/audit")
@require_role(Role.MASTER_OPERATOR)
def audit() -> ResponseReturnValue:
    """Show who changed what, who logged in, and who was refused, newest first."""
    who, page = request.args.get("who", ""), min(page_number("page"), MAX_PAGES)
    matching = (entry for entry in telemetry_of(current_app).audit_log.newest_first() if not who or entry.who == who)
    entries = list(islice(matching, (page - 1) * PER_PAGE, page * PER_PAGE + 1))
    has_more = len(entries) > PER_PAGE and page < MAX_PAGES
    return render_template("web/audit.html", entries=entries[:PER_PAGE], who=who, page=page, more=has_more)
