"""An open, self-hosted server for deployment metrics, the REST resource of HCL BigFix."""

import mimetypes
import os
from datetime import timedelta
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from . import api, cli, web
from .accounts.authentication import Credentials
from .accounts.service import Accounts
from .accounts.sessions import Sessions
from .accounts.throttle import Throttle
from .clock import Clock
from .config import INSTANCE, load_settings
from .documents.expectations import Expectations
from .documents.service import Service
from .errors import SettingError
from .http import access, error_handlers, urls
from .http.session_cookie import LoginCookie
from .services import NAME, Services
from .storage import Retention, open_storage
from .storage.files.disk import make_folder
from .upgrade import upgrade
from .version import VERSION

__version__ = VERSION


class Application(Flask):
    """Flask, spared one thing per request: no view or hook here is a coroutine, so none is asked."""

    def ensure_sync(self, func):
        """The function as it is."""
        return func


def create_app(instance=None, settings=None, clock=None):
    """The WSGI application on an instance folder.

    ``settings`` go before those of the environment and of ``config.py``; ``clock`` is for tests. Raises SettingError.
    """
    folder = instance or os.environ.get(INSTANCE)
    app = Application(__name__, instance_path=folder and os.path.abspath(folder))
    _make_instance(Path(app.instance_path))
    app.config.update(load_settings(Path(app.instance_path), settings))
    app.config.update(
        # One more than is taken: werkzeug cuts a chunked body off at its limit, and says so only by the length.
        MAX_CONTENT_LENGTH=app.config["MAX_BODY_BYTES"] + 1,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=app.config["LOGIN_SECONDS"]),
        SESSION_COOKIE_NAME="deploymetrics",
        SESSION_COOKIE_SAMESITE="Lax",
    )
    mimetypes.add_type("application/xml", ".xsd")
    app.session_interface = LoginCookie()
    app.url_map.merge_slashes = False
    app.extensions[NAME] = services = _assemble(app.instance_path, app.config, clock or Clock())
    access.init_app(app, services.credentials, services.sessions)
    app.before_request(urls.check_path)
    error_handlers.init_app(app)
    app.register_blueprint(api.bp)
    app.register_blueprint(web.bp)
    for command in cli.COMMANDS:
        app.cli.add_command(command)
    app.view_functions["static"].roles = access.ANYONE
    if proxies := app.config["PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies)
    return app


def _make_instance(folder):
    try:
        make_folder(os.fspath(folder))
        if not (folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)):
            raise OSError("it is not a folder that may be read and written")
    except OSError as error:
        raise SettingError(f"{INSTANCE} names {str(folder)!r}, which cannot be used: {error}") from error


def _assemble(folder, settings, clock):
    upgrade(folder, clock)
    store = open_storage(
        settings["STORAGE"],
        folder,
        clock,
        Retention(settings["HISTORY_VERSIONS"], settings["HISTORY_HOURLY_DAYS"], settings["HISTORY_DAYS"]),
    )
    accounts = Accounts(store)
    sessions = Sessions(store, clock, accounts, settings["SECRET_KEY"])
    throttle = Throttle(
        store,
        clock,
        per_account=settings["GUESSES"],
        per_address=settings["GUESSES_PER_ADDRESS"],
        longest=settings["GUESS_DELAY_SECONDS"],
    )
    credentials = Credentials(accounts, sessions, throttle, settings["CREDENTIAL_CACHE_SECONDS"])
    return Services(clock, Service(store), accounts, sessions, credentials, Expectations(store))
