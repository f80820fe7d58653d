"""The settings: a row each, of which the defaults, the checks, the table in the docs and the example file are made.

A setting is looked for in the environment as ``DEPLOYMETRICS_<NAME>``, then as ``<NAME>`` in ``config.py`` of the
instance folder, then the row's default holds. Whatever is not a row, or not valid, stops the start and is named.
"""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields, validate

from ..errors import SettingError
from ..schemas import WholeNumber
from .addresses import PublicURL, Words, check_bind, check_host, check_origin, check_unit
from .relevance import Relevance
from .secret_key import MIN_SECRET_KEY, generated_secret_key
from .storage_url import FILES, check_storage, without_password

PREFIX = "DEPLOYMETRICS_"
INSTANCE = "DEPLOYMETRICS_INSTANCE"
#: What OWASP recommends, with less and with more memory (32, 64 and 128 MB a hash), and what FIPS 140 allows.
PASSWORD_HASHES = ("scrypt:32768:8:3", "scrypt:65536:8:2", "scrypt:131072:8:1", "pbkdf2:sha256:600000")
# What Kubernetes sets in every container for a Service whose name begins with "deploymetrics".
_SERVICE_LINK = re.compile(r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_PORT = re.compile(r"(.+_)?PORT=(tcp|udp|sctp)://.*")


class Setting(NamedTuple):
    """A row: its name, the marshmallow field that checks it, its default and a sentence of help."""

    name: str
    field: fields.Field[Any]
    default: Any
    help: str


class Settings(dict[str, Any]):
    """Every setting by name, checked. ``origins`` says by name where those come from that are not the default."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        super().__init__(values)
        self.origins = origins


def _whole(low: int, high: int) -> WholeNumber:
    return WholeNumber(validate=validate.Range(low, high))


SETTINGS = (
    Setting(
        "SECRET_KEY",
        fields.String(allow_none=True, validate=validate.Length(MIN_SECRET_KEY)),
        None,
        "Signs the login cookie; at least 16 characters. Generated into the instance folder when not set.",
    ),
    Setting(
        "SECRET_KEY_FALLBACKS",
        Words(validate.Length(MIN_SECRET_KEY), lower=False),
        (),
        "Earlier SECRET_KEYs, which go on working while the new one comes into use, so nobody is logged out.",
    ),
    Setting(
        "STORAGE",
        fields.String(validate=check_storage),
        FILES,
        "Where all is kept: files: is JSON files in the instance folder; or the URL of a PostgreSQL database,"
        " postgresql+psycopg://USER@HOST:PORT/DATABASE.",
    ),
    Setting(
        "DATABASE_SECONDS",
        _whole(1, 600),
        5,
        "How long to wait for an answer of the database; what it has not confirmed by then is answered with 503.",
    ),
    Setting(
        "DATABASE_PREPARE",
        fields.Boolean(),
        True,
        "Whether the database prepares statements; not behind a PgBouncer older than 1.21 in transaction mode.",
    ),
    Setting(
        "BIND",
        fields.String(validate=check_bind),
        "127.0.0.1:52311",
        "Where serve listens: HOST:PORT, or unix:PATH for a socket in the file system.",
    ),
    Setting(
        "SOCKET_MODE",
        fields.String(validate=validate.Regexp("^0?[0-7]{3}$")),
        "666",
        "The mode of that socket; all may connect by default, as to a port, and 660 leaves it to one group.",
    ),
    Setting(
        "SERVER",
        fields.String(validate=validate.OneOf(["gunicorn", "granian"])),
        "gunicorn",
        "What serve has the requests read by: gunicorn, or granian, which is faster (deploymetrics[granian]).",
    ),
    Setting("WORKERS", _whole(1, 256), 2, "How many processes serve has."),
    Setting("THREADS", _whole(1, 256), 4, "How many threads each process of serve has."),
    Setting(
        "CERTFILE",
        fields.String(),
        "",
        "The TLS certificate with its chain, PEM; a relative path of a setting starts at the instance folder.",
    ),
    Setting("KEYFILE", fields.String(), "", "The private key of the certificate, PEM and without a password."),
    Setting(
        "HSTS_SECONDS",
        _whole(0, 2 * 365 * 86400),
        365 * 86400,
        "For how long browsers that came over HTTPS use nothing else, on every port of the host; 0 for no time.",
    ),
    Setting("ACCESS_LOG", fields.Boolean(), True, "Whether serve writes a line for each request to standard output."),
    Setting(
        "LOG_FORMAT",
        fields.String(validate=validate.OneOf(["text", "json"])),
        "text",
        "How serve writes its log and the lines of requests: text for people, or json, an object a line.",
    ),
    Setting(
        "LOG_LEVEL",
        fields.String(validate=validate.OneOf(["error", "warning", "info", "debug"])),
        "info",
        "What serve logs: error, warning, info or debug and what is graver.",
    ),
    Setting(
        "MAX_BODY_BYTES",
        _whole(1, 2**30),
        2**20,
        "The largest request body, in bytes; a larger one is refused with 413.",
    ),
    Setting(
        "SESSION_SECONDS",
        _whole(1, 30 * 86400),
        300,
        "How long a SessionToken from /api/login lives after its last use.",
    ),
    Setting("LOGIN_SECONDS", _whole(1, 365 * 86400), 8 * 3600, "How long a browser's login lives after its last use."),
    Setting(
        "SESSION_LIMIT_SECONDS",
        _whole(1, 365 * 86400),
        7 * 86400,
        "When a SessionToken or a browser's login ends, in seconds after it began, however often it is used.",
    ),
    Setting(
        "PROOF_SECONDS",
        _whole(60, 86400),
        600,
        "How long after a login the pages make accounts, secrets and tokens; later they ask for the password again.",
    ),
    Setting(
        "CREDENTIAL_CACHE_SECONDS",
        _whole(0, 3600),
        60,
        "How long a worker remembers that a credential was right; 0 checks the password on each request.",
    ),
    Setting(
        "PASSWORD_HASH",
        fields.String(validate=validate.OneOf(PASSWORD_HASHES)),
        PASSWORD_HASHES[0],
        "Hashes passwords; or scrypt:65536:8:2, scrypt:131072:8:1, pbkdf2:sha256:600000. Others change at login.",
    ),
    Setting(
        "GUESSES",
        _whole(1, 1000),
        5,
        "Wrong passwords that an account takes from one address before answers are delayed with 429.",
    ),
    Setting(
        "GUESSES_PER_ADDRESS",
        _whole(1, 100_000),
        50,
        "Wrong credentials of all kinds that one address may send before it is delayed with 429.",
    ),
    Setting(
        "GUESS_DELAY_SECONDS",
        _whole(1, 86400),
        900,
        "The longest delay after wrong credentials; delays start at one second and double up to it.",
    ),
    Setting(
        "UNITS",
        Words(check_unit, lower=False),
        (),
        "Units of numbers on the pages, by name, such as queue=items; names ending in _bytes and the like have theirs.",
    ),
    Setting("HISTORY_VERSIONS", _whole(1, 1_000_000), 1000, "How many of the newest versions of a document all stay."),
    Setting(
        "HISTORY_HOURLY_DAYS",
        _whole(1, 36500),
        60,
        "For how many days the last version of each hour stays, beyond those.",
    ),
    Setting(
        "HISTORY_DAYS", _whole(1, 36500), 800, "For how many days the last version of each day stays, beyond those."
    ),
    Setting(
        "PROXIES",
        _whole(0, 10),
        0,
        "How many reverse proxies in front are trusted to set X-Forwarded-For, -Proto and -Host.",
    ),
    Setting(
        "PROXY_PREFIX",
        fields.Boolean(),
        False,
        "Whether they also set X-Forwarded-Prefix, and so overwrite what a client sends: the path that they serve.",
    ),
    Setting(
        "PUBLIC_URL", PublicURL(), "", "Where people reach the server, https://HOST/PREFIX, whatever requests say."
    ),
    Setting(
        "TRUSTED_HOSTS", Words(check_host), (), "The hosts that a request may name, without ports; all when empty."
    ),
    Setting(
        "REMOTE_USER_HEADER",
        fields.String(validate=validate.Regexp("^$|^[A-Za-z][A-Za-z0-9-]{0,63}$")),
        "",
        "The header in which a reverse proxy names the account of whom it logged in; needs PROXIES.",
    ),
    Setting("CORS_ORIGINS", Words(check_origin), (), "Other origins whose pages may use the API, wholly trusted."),
    Setting(
        "METRICS_PER_TAG", _whole(0, 1_000_000), 500, "How many numbers of one document /metrics shows; 0 for none."
    ),
    Setting(
        "METRICS_SERIES",
        _whole(0, 10_000_000),
        100_000,
        "How many series of all documents /metrics shows; a document has three beside its numbers.",
    ),
    Setting("AUDIT_DAYS", _whole(1, 36500), 400, "For how many days the audit log stays."),
    Setting(
        "AUDIT_MEGABYTES", _whole(1, 1_000_000), 100, "How large the audit log may be; its oldest lines go before that."
    ),
    Setting(
        "READ_ONLY",
        fields.Boolean(),
        False,
        "Whether changes are refused with 503, while reading and logging in go on; serve runs no collector then.",
    ),
    Setting("COLLECT", fields.Boolean(), True, "Whether serve runs the collector, which fills the document platform."),
    Setting("COLLECT_INTERVAL_SECONDS", _whole(1, 86400), 300, "How long after a collection the next one starts."),
    Setting(
        "COLLECT_TIMEOUT_SECONDS",
        _whole(1, 86400),
        240,
        "How long a source may take before it is stopped and counts as failed.",
    ),
    Setting(
        "COLLECT_LONGEST_DELAY_SECONDS",
        _whole(1, 7 * 86400),
        3600,
        "The longest delay after failures of a source; delays start at the interval and double up to it.",
    ),
    Setting(
        "COLLECT_PERMANENT_DELAY_SECONDS",
        _whole(60, 30 * 86400),
        86400,
        "When a source is asked again after an error that trying again does not fix, such as a wrong password.",
    ),
    Setting(
        "WEBHOOK_URL",
        fields.String(validate=validate.Regexp(r"^$|^https?://[^\s/]+(/\S*)?$")),
        "",
        "Where the collector posts that a tag is stale, and fresh again; empty for nowhere.",
    ),
    Setting(
        "WEBHOOK_SECRET",
        fields.String(validate=validate.Regexp("^$|^.{16,}$")),
        "",
        "Signs what is posted there; at least 16 characters, from where the BigFix password may come.",
    ),
    Setting(
        "BIGFIX_SERVER", fields.String(), "", "The BigFix server to collect from, https://HOST:52311; empty for none."
    ),
    Setting(
        "BIGFIX_USER",
        fields.String(),
        "",
        "The BigFix operator, best a master operator: others see only their own part.",
    ),
    Setting(
        "BIGFIX_PASSWORD",
        fields.String(),
        "",
        "The operator's password; from the environment, or from a config.py that only its owner may read.",
    ),
    Setting(
        "BIGFIX_TOKEN",
        fields.String(),
        "",
        "A bearer token in place of operator and password; from where the password may come.",
    ),
    Setting(
        "BIGFIX_CREDENTIALS_FILE",
        fields.String(),
        "",
        "A file of one line, OPERATOR:PASSWORD or Bearer TOKEN, that only its owner may read (0600).",
    ),
    Setting(
        "BIGFIX_FINGERPRINT",
        fields.String(validate=validate.Regexp("^$|^([0-9A-Fa-f]{2}:?){32}$")),
        "",
        "The SHA-256 fingerprint of the BigFix server's certificate; no other certificate is accepted then.",
    ),
    Setting(
        "BIGFIX_CA_FILE",
        fields.String(),
        "",
        "A PEM file of the authorities that may sign the BigFix server's certificate; else the system's.",
    ),
    Setting("BIGFIX_CONNECT_SECONDS", _whole(1, 3600), 10, "How long to wait for a connection to the BigFix server."),
    Setting(
        "BIGFIX_QUERY_SECONDS", _whole(1, 86400), 60, "How long to wait for the answer to one relevance expression."
    ),
    Setting(
        "BIGFIX_METRICS",
        Relevance(),
        {},
        "A dict of metric name → relevance that is added to the default table; None drops a default metric.",
    ),
)
#: Never shown, and only taken from a config.py that nobody else may read.
SECRETS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "BIGFIX_PASSWORD", "BIGFIX_TOKEN", "WEBHOOK_SECRET")
BY_NAME = {row.name: row for row in SETTINGS}


def load_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return every setting, with a secret key; ``overrides`` go first. Raises SettingError naming what is wrong."""
    settings = read_settings(instance, overrides)
    if not settings["SECRET_KEY"] and settings["STORAGE"] != FILES:
        raise SettingError(
            "SECRET_KEY is not set. With a database it has to be, and on all servers the same; a good one is printed by"
            " python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    settings["SECRET_KEY"] = settings["SECRET_KEY"] or generated_secret_key(instance)
    return settings


def shown(name: str, value: Any) -> str:
    """Return the value of a setting as it may be shown: dots for a secret."""
    if name in SECRETS and value:
        return "..."
    return repr(without_password(value) if name == "STORAGE" and isinstance(value, str) else value)


def read_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return every setting as it is set, and make nothing. Raises SettingError."""
    values = {row.name: row.default for row in SETTINGS}
    origins: dict[str, str] = {}
    for name, value, origin in _found(instance, overrides or {}):
        values[name] = _checked(name, value, origin)
        origins[name] = origin
    if values["REMOTE_USER_HEADER"] and not values["PROXIES"]:
        raise SettingError("The setting REMOTE_USER_HEADER needs PROXIES: without a proxy any client could send it.")
    if values["WEBHOOK_URL"] and not values["WEBHOOK_SECRET"]:
        raise SettingError("The setting WEBHOOK_URL needs WEBHOOK_SECRET, which signs what is sent there.")
    return Settings(values, origins)


def _found(instance: Path, overrides: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, value, where from), what goes first last."""
    found = {name: (value, "config.py") for name, value in _from_file(instance / "config.py").items()}
    found |= {name: (value, f"environment, {variable}") for variable, name, value in _from_environment()}
    found |= {name: (value, "command line") for name, value in overrides.items()}
    for name, (value, origin) in found.items():
        yield name, value, origin


def _checked(name: str, value: Any, origin: str) -> Any:
    if name not in BY_NAME:
        near = get_close_matches(name.upper().removeprefix(PREFIX), BY_NAME, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(BY_NAME)}."
        raise SettingError(f"There is no setting {name} ({origin}). {hint}")
    try:
        return BY_NAME[name].field.deserialize(value)
    except ValidationError as error:
        raise SettingError(f"The setting {name} ({origin}) is not usable: {' '.join(error.messages)}") from error


def _from_environment() -> Iterator[tuple[str, str, str]]:
    """Yield (variable, name, value)."""
    for variable, value in os.environ.items():
        if variable.upper().startswith(PREFIX) and variable != INSTANCE:
            name = variable.removeprefix(PREFIX)
            if not _is_service_link(name, value):
                yield variable, name, value


def _is_service_link(name: str, value: str) -> bool:
    """Return True for a variable that Kubernetes set; one that only looks like it is taken for a misspelt setting."""
    return bool(_SERVICE_LINK.fullmatch(name) or _SERVICE_PORT.fullmatch(f"{name}={value}"))


def _from_file(path: Path) -> dict[str, Any]:
    """Return the upper-case names of a config.py; other names are its own affair, unless they are misspelt settings."""
    try:
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"config.py of the instance folder cannot be read: {error.strerror}.") from error
    if stat.st_mode & 0o022 or stat.st_uid not in (0, os.geteuid()):
        raise SettingError(f"{path} may be written by others, and is not run; make its mode 0600, and its owner yours.")
    names: dict[str, Any] = {"__name__": "config", "__file__": str(path)}
    try:
        exec(compile(text, path, "exec"), names)
    except (Exception, SystemExit) as error:
        raise SettingError(f"config.py of the instance folder fails: {type(error).__name__}: {error}") from error
    for name in names:
        if not name.isupper() and name.upper() in BY_NAME:
            raise SettingError(f"config.py has {name}; settings are in upper case: {name.upper()}.")
    found = {name: value for name, value in names.items() if name.isupper()}
    for name, value in found.items():
        if shown(name, value) != repr(value) and stat.st_mode & 0o077:
            raise SettingError(f"config.py holds {name} and others may read it; make its mode 0600.")
    return found
