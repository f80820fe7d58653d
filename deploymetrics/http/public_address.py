"""The public address of the server: X-Forwarded headers of trusted proxies, PUBLIC_URL, and trusted hosts.

Addresses in answers, redirects and the login cookie are made of it, so a client must not be the one who says it.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app
from werkzeug.middleware.proxy_fix import ProxyFix

from ..config.addresses import PATH
from ..errors import BadRequest
from .requests import current_request

#: A probe names the machine that it asks, and is told nothing of addresses.
_ASKED_BY_ADDRESS = ("/healthz", "/readyz")


def init_app(app: Flask) -> None:
    """Give each request of ``app`` the address that the settings PUBLIC_URL and PROXIES say; refuse untrusted hosts."""
    settings = app.config
    if settings["TRUSTED_HOSTS"]:
        app.before_request(check_host)
    if settings["PUBLIC_URL"]:
        app.wsgi_app = at_public_url(app.wsgi_app, settings)  # type: ignore[method-assign]
    if proxies := settings["PROXIES"]:
        prefixes = proxies if settings["PROXY_PREFIX"] else 0
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            undo_bad_proxy_headers(app.wsgi_app), x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=prefixes
        )


def check_host() -> None:
    """Raise BadRequest unless the Host header is in the setting TRUSTED_HOSTS, or that of PUBLIC_URL."""
    if current_request().path in _ASKED_BY_ADDRESS:
        return
    if _without_port(current_request().authority) not in trusted_hosts(current_app.config):
        raise BadRequest("The Host header does not name this server.", code="invalid-host")


def trusted_hosts(settings: Any) -> set[str]:
    """Return the hosts that requests may name; an empty set stands for all hosts."""
    hosts = set(settings["TRUSTED_HOSTS"])
    if hosts and settings["PUBLIC_URL"]:
        hosts.add(_without_port(urlsplit(settings["PUBLIC_URL"]).netloc))
    return hosts


def _without_port(authority: str) -> str:
    return re.sub(":[0-9]*$", "", authority.lower())


def undo_bad_proxy_headers(app: Any) -> Any:
    """Return middleware behind ProxyFix that restores scheme and prefix where a header's are not valid."""

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        before = environ["werkzeug.proxy_fix.orig"]
        if environ["wsgi.url_scheme"] not in ("http", "https"):
            environ["wsgi.url_scheme"] = before["wsgi.url_scheme"]
        prefix = environ["SCRIPT_NAME"].rstrip("/")
        environ["SCRIPT_NAME"] = prefix if re.fullmatch(PATH, prefix) else before["SCRIPT_NAME"]
        return app(environ, start_response)

    return middleware


def at_public_url(app: Any, settings: Any) -> Any:
    """Return middleware that makes PUBLIC_URL the address of each request, whatever the client or a proxy names.

    A proxy may take the prefix in it away or leave it. A host that is not trusted stays, to be refused.
    """
    hosts = trusted_hosts(settings)
    scheme, host, prefix = urlsplit(settings["PUBLIC_URL"])[:3]

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        if not hosts or _without_port(environ.get("HTTP_HOST", "")) in hosts:
            path = environ["PATH_INFO"]
            if path == prefix or path.startswith(f"{prefix}/"):
                path = path.removeprefix(prefix)
            environ |= {"wsgi.url_scheme": scheme, "HTTP_HOST": host, "SCRIPT_NAME": prefix, "PATH_INFO": path or "/"}
        return app(environ, start_response)

    return middleware
