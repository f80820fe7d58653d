"""The session cookie: Flask's own, made so that a request without one costs nothing."""

from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class LoginCookie(SecureCookieSessionInterface):
    """Signed by SECRET_KEY, for this site only, not for scripts, and over HTTPS only where it was set over HTTPS."""

    def open_session(self, app, request):
        """An empty session without looking for a key where the request has no cookie."""
        if "HTTP_COOKIE" not in request.environ:
            return SecureCookieSession()
        return super().open_session(app, request)

    def save_session(self, app, session, response):
        """Nothing where the request did not look at the session: then it cannot have changed."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app):
        from flask import request

        return request.is_secure
