"""The session cookie: Flask's own, made so that a request without one costs nothing, and one for each instance.

A browser sends a host's cookies to every port of it. So that two instances on one host do not overwrite each other's,
the name has the port in it, and the path is the prefix under which the instance is served. ``__Host-`` has browsers
take the cookie from this very host and over HTTPS only, ``__Secure-``, for one with a path, over HTTPS only.
"""

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class LoginCookie(SecureCookieSessionInterface):
    """A cookie signed by SECRET_KEY, for this instance and no script; over HTTPS only where it was set over HTTPS."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return an empty session without looking for a key where the request has no cookie."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else SecureCookieSession()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Do nothing where the request did not look at the session: then it cannot have changed."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_name(self, app: Flask) -> str:
        """Return ``deploymetrics-52311``, with the port of the browser's address if it has one.

        Over HTTPS ``__Host-`` or ``__Secure-`` stands before it.
        """
        name, (_, colon, port) = super().get_cookie_name(app), request.host.rpartition(":")
        if colon and port.isascii() and port.isdigit():
            name = f"{name}-{port}"
        if request.is_secure:
            return f"__Secure-{name}" if request.root_path else f"__Host-{name}"
        return name

    def get_cookie_path(self, app: Flask) -> str:
        """Return the prefix under which the instance is served."""
        return request.root_path or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return True where the request came over HTTPS."""
        return request.is_secure
