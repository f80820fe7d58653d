"""The headers of every page, errors included."""

from .responses import NO_SNIFFING

#: What keeps a browser from doing more with a page than showing it, and from showing it again after the logout.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    **NO_SNIFFING,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
