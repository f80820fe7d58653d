"""The session cookie: Flask's own, made so that a request without one costs nothing."""

from typing import Any

import flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class LoginCookie(SecureCookieSessionInterface):
    """Signed by SECRET_KEY, for this site only, not for scripts, and over HTTPS only where it was set over HTTPS."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> SecureCookieSession | None:
        """Return an empty session without looking for a key where the request has no cookie."""
        if "HTTP_COOKIE" not in request.environ:
            return SecureCookieSession()
        return super().open_session(app, request)

    def save_session(self, app: flask.Flask, session: Any, response: Any) -> None:
        """Save what changed; a session that the request did not look at cannot have."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: flask.Flask) -> bool:
        """Return True if the request came over HTTPS."""
        return flask.request.is_secure
