"""The login cookie: Flask's session cookie, one for each instance; a request without it costs nothing.

A browser sends a host's cookies to every port of it. So that two instances on one host do not overwrite each other's,
the name has the port in it, and the path is the prefix under which the instance is served. ``__Host-`` has browsers
take the cookie from this very host and over HTTPS only, ``__Secure-``, for one with a path, over HTTPS only.
"""

from datetime import timedelta
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from ..clock import SKEW_SECONDS, Clock


def init_app(app: Flask, clock: Clock) -> None:
    """Give ``app`` its login cookie."""
    app.session_interface = LoginCookie(clock)
    app.config.update(
        # The cookie outlives the session in it, so that a form that waited too long is known to be no stranger's.
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=app.config["SESSION_LIMIT_SECONDS"]),
        SESSION_COOKIE_NAME="deploymetrics",
        SESSION_COOKIE_SAMESITE="Lax",
    )


class LoginCookie(SecureCookieSessionInterface):
    """A cookie signed by SECRET_KEY, for this instance and no script; one set over HTTPS is sent over HTTPS only."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the signer of the cookie, which uses the application's clock."""
        serializer = super().get_signing_serializer(app)
        if serializer:
            serializer.signer = _Signer
            serializer.signer_kwargs["clock"] = self.clock
        return serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the session from the cookie; it is empty where the request has none."""
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else SecureCookieSession()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie, unless the request did not look at the session: then it cannot have changed."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_name(self, app: Flask) -> str:
        """Return ``deploymetrics-52311``, with the browser's port; ``__Host-`` or ``__Secure-`` first over HTTPS."""
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


class _Signer(TimestampSigner):
    """Signs with the time of ``clock``, and takes a time that is a little ahead for one of now."""

    def __init__(self, *args: Any, clock: Clock, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clock = clock

    def get_timestamp(self) -> int:
        return int(self.clock.timestamp())

    def unsign(self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        age = self.get_timestamp() - signed_at.timestamp()
        if max_age is not None and not -SKEW_SECONDS <= age <= max_age:
            raise SignatureExpired(f"signed {age} seconds ago")
        return (value, signed_at) if return_timestamp else value
