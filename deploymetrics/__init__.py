"""An open, self-hosted server for deployment metrics, the REST resource of HCL BigFix."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask.logging import default_handler

from . import api, cli, web
from .application import Application
from .clock import Clock
from .config.instance import check_folder, find_instance
from .config.loading import Settings, load_settings
from .config.storage_url import FILES
from .errors import SettingError
from .formats.logs import EscapingFormatter
from .http import access, cross_site, error_handlers, login_cookie, public_address, security_headers, urls
from .http.fast_path import FastPath
from .http.request_ids import RequestIds
from .http.sign_on import SignOn
from .services import NAME, Services
from .storage.files.disk import make_folder
from .telemetry import Telemetry
from .telemetry.shared_memory import Memory
from .telemetry.views import bp as telemetry_bp
from .upgrade import upgrade
from .version import VERSION as __version__  # noqa: F401


def create_app(
    instance: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
    memory: Memory | None = None,
) -> Application:
    """Return the WSGI application on an instance folder, and make the folder if it is missing.

    ``settings`` override those of the environment and of ``config.py``. As Settings they are all there are, and the
    folder is one that was opened with them: where it is gone, it is not made anew. ``clock`` is for tests. ``memory``
    holds the counters that the processes of a server share. Raises SettingError.
    """
    _escape_logs()
    folder = Path(os.path.abspath(instance)) if instance else find_instance()
    clock = clock or Clock()
    is_opened = isinstance(settings, Settings)
    if not isinstance(settings, Settings):
        _make_instance(folder)
        settings = load_settings(folder, settings)
        if settings["STORAGE"] == FILES:
            upgrade(str(folder), clock)
    app = Application(__name__, instance_path=str(folder))
    app.config.update(settings, MAX_CONTENT_LENGTH=settings["MAX_BODY_BYTES"])
    app.url_map.merge_slashes = app.url_map.strict_slashes = False
    app.extensions[NAME] = services = Services(app.instance_path, app.config, clock, make=not is_opened)
    app.request_ids = RequestIds(app.config["PROXIES"] > 0)
    app.telemetry = Telemetry(app.instance_path, app.config, services, memory or Memory())
    login_cookie.init_app(app, clock)
    security_headers.init_app(app)
    public_address.init_app(app)
    cross_site.init_app(app)
    access.init_app(app, services.authenticator, services.sessions, SignOn(app, services.accounts))
    app.before_request(urls.check_path)
    app.before_request(urls.answer_for_whole_server)
    error_handlers.init_app(app)
    for blueprint in (*api.BLUEPRINTS, web.bp, telemetry_bp):
        app.register_blueprint(blueprint)
    for command in cli.main.commands.values():
        app.cli.add_command(command)
    access.public(app.view_functions["static"])
    app.fast_path = FastPath(app, services.documents, services.authenticator, app.answer_and_note)
    if services.store.reads_wait:
        app.wait_once(services.store)
    return app


def _make_instance(folder: Path) -> None:
    try:
        make_folder(os.fspath(folder))
        if not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK, effective_ids=True)):
            raise OSError("it is not a folder that may be read")
    except OSError as error:
        raise SettingError(f"The instance folder {str(folder)!r} cannot be used: {error}") from error
    check_folder(folder)


def _escape_logs() -> None:
    """Escape the log lines of commands, and of servers other than ours, so that none steers a terminal."""
    default_handler.setFormatter(EscapingFormatter("[%(asctime)s] %(levelname)s: %(message)s"))
    if logging.lastResort:
        logging.lastResort.setFormatter(EscapingFormatter())
