"""The settings: a row each, of which the defaults, the checks, the table in the docs and the example file are made."""

from typing import Any, NamedTuple

from marshmallow import fields, validate

from ..schemas import WholeNumber
from .addresses import (
    PublicURL,
    check_bigfix_server,
    check_bind,
    check_host,
    check_origin,
    check_webhook_url,
)
from .fields import Relevance, Words, check_unit
from .storage_url import FILES, check_storage, without_password

PREFIX = "DEPLOYMETRICS_"
MIN_SECRET_KEY = 16
#: What OWASP recommends, with less and with more memory (32, 64 and 128 MB a hash), and what FIPS 140 allows.
PASSWORD_HASHES = ("scrypt:32768:8:3", "scrypt:65536:8:2", "scrypt:131072:8:1", "pbkdf2:sha256:600000")


class Setting(NamedTuple):
    """A setting: its name, the marshmallow field that checks it, its default and a sentence of help."""

    name: str
    field: fields.Field[Any]
    default: Any
    help: str


def _whole(low: int, high: int) -> WholeNumber:
    return WholeNumber(validate=validate.Range(low, high))


# fmt: off
SETTINGS = (
    Setting("SECRET_KEY", fields.String(allow_none=True, validate=validate.Length(MIN_SECRET_KEY)), None,
            "Signs the login cookie; at least 16 characters. Generated into the instance folder when not set."),
    Setting("SECRET_KEY_FALLBACKS", Words(validate.Length(MIN_SECRET_KEY), lower=False), (),
            "Earlier SECRET_KEYs, which go on working while the new one comes into use, so nobody is logged out."),
    Setting("STORAGE", fields.String(validate=check_storage), FILES,
            "Where all is kept: files: is JSON files in the instance folder; or the URL of a PostgreSQL database, "
            "postgresql+psycopg://USER@HOST:PORT/DATABASE."),
    Setting("DATABASE_SECONDS", _whole(1, 600), 5,
            "How long to wait for an answer of the database, then two more for each server of it; what it has not "
            "confirmed by then is answered with 503."),
    Setting("DATABASE_PREPARE", fields.Boolean(), True,
            "Whether the database prepares statements; not behind a PgBouncer older than 1.21 in transaction mode."),
    Setting("BIND", fields.String(validate=check_bind), "127.0.0.1:52311",
            "Where serve listens: HOST:PORT, or unix:PATH for a socket in the file system."),
    Setting("SOCKET_MODE", fields.String(validate=validate.Regexp("^0?[0-7]{3}$")), "666",
            "The mode of that socket; all may connect by default, as to a port, and 660 leaves it to one group."),
    Setting("SERVER", fields.String(validate=validate.OneOf(["gunicorn", "granian"])), "gunicorn",
            "Which server serve runs: gunicorn, or granian, which is faster (deploymetrics[granian])."),
    Setting("WORKERS", _whole(1, 256), 2, "How many processes serve has."),
    Setting("THREADS", _whole(1, 256), 4, "How many threads each process of serve has."),
    Setting("CERTFILE", fields.String(), "",
            "The TLS certificate with its chain, PEM; a relative path of a setting starts at the instance folder."),
    Setting("KEYFILE", fields.String(), "", "The private key of the certificate, PEM and without a password."),
    Setting("HSTS_SECONDS", _whole(0, 2 * 365 * 86400), 365 * 86400,
            "For how long browsers that came over HTTPS use nothing else, on every port of the host; 0 for no time."),
    Setting("ACCESS_LOG", fields.Boolean(), True, "Whether serve writes a line for each request to standard output."),
    Setting("LOG_FORMAT", fields.String(validate=validate.OneOf(["text", "json"])), "text",
            "How serve writes its log and the lines of requests: text for people, or json, an object a line."),
    Setting("LOG_LEVEL", fields.String(validate=validate.OneOf(["error", "warning", "info", "debug"])), "info",
            "What serve logs: error, warning, info or debug and what is graver."),
    Setting("MAX_BODY_BYTES", _whole(1, 2**30), 2**20,
            "The largest request body, in bytes; a larger one is refused with 413."),
    Setting("SESSION_SECONDS", _whole(1, 30 * 86400), 300,
            "How long a SessionToken from /api/login lives after its last use."),
    Setting("LOGIN_SECONDS", _whole(1, 365 * 86400), 8 * 3600, "How long a browser's login lives after its last use."),
    Setting("SESSION_LIMIT_SECONDS", _whole(1, 365 * 86400), 7 * 86400,
            "When a SessionToken or a browser's login ends, in seconds after it began, however often it is used."),
    Setting("PROOF_SECONDS", _whole(60, 86400), 600,
            "How long after a login the pages make accounts, secrets and tokens; later they ask for the password "
            "again."),
    Setting("CREDENTIAL_CACHE_SECONDS", _whole(0, 3600), 60,
            "How long a worker remembers that a credential was right; 0 checks the password on each request."),
    Setting("PASSWORD_HASH", fields.String(validate=validate.OneOf(PASSWORD_HASHES)), PASSWORD_HASHES[0],
            "Hashes passwords; or scrypt:65536:8:2, scrypt:131072:8:1, pbkdf2:sha256:600000. Others change at login."),
    Setting("GUESSES", _whole(1, 1000), 5,
            "Wrong passwords that an account takes from one address before answers are delayed with 429."),
    Setting("GUESSES_PER_ADDRESS", _whole(1, 100_000), 50,
            "Wrong credentials of all kinds that one address may send before it is delayed with 429."),
    Setting("GUESS_DELAY_SECONDS", _whole(1, 86400), 900,
            "The longest delay after wrong credentials; delays start at one second and double up to it."),
    Setting("UNITS", Words(check_unit, lower=False), (),
            "Units of numbers on the pages, by name, such as queue=items; names ending in _bytes and the like have "
            "theirs."),
    Setting("HISTORY_VERSIONS", _whole(1, 1_000_000), 1000, "How many of the newest versions of a document all stay."),
    Setting("HISTORY_HOURLY_DAYS", _whole(1, 36500), 60,
            "For how many days the last version of each hour stays, beyond those."),
    Setting("HISTORY_DAYS", _whole(1, 36500), 800,
            "For how many days the last version of each day stays, beyond those."),
    Setting("PROXIES", _whole(0, 10), 0,
            "How many reverse proxies in front are trusted to set X-Forwarded-For, -Proto and -Host."),
    Setting("PROXY_PREFIX", fields.Boolean(), False,
            "Whether they also set X-Forwarded-Prefix, and so overwrite what a client sends: the path that they "
            "serve."),
    Setting("PUBLIC_URL", PublicURL(), "",
            "Where people reach the server, https://HOST/PREFIX, whatever requests say."),
    Setting("TRUSTED_HOSTS", Words(check_host), (),
            "The hosts that a request may name, without ports; all when empty."),
    Setting("REMOTE_USER_HEADER", fields.String(validate=validate.Regexp("^$|^[A-Za-z][A-Za-z0-9-]{0,63}$")), "",
            "The header in which a reverse proxy names the account of whom it logged in; needs PROXIES."),
    Setting("CORS_ORIGINS", Words(check_origin), (), "Other origins whose pages may use the API, wholly trusted."),
    Setting("METRICS_PER_TAG", _whole(0, 1_000_000), 500,
            "How many numbers of one document /metrics shows; 0 for none."),
    Setting("METRICS_SERIES", _whole(0, 10_000_000), 100_000,
            "How many series of all documents /metrics shows; a document has three beside its numbers."),
    Setting("AUDIT_DAYS", _whole(1, 36500), 400, "For how many days the audit log stays."),
    Setting("AUDIT_MEGABYTES", _whole(1, 1_000_000), 100,
            "How large the audit log may be; its oldest lines go before that."),
    Setting("READ_ONLY", fields.Boolean(), False,
            "Whether changes are refused with 503, while reading and logging in go on; serve runs no collector then."),
    Setting("COLLECT", fields.Boolean(), True, "Whether serve runs the collector, which fills the document platform."),
    Setting("COLLECT_INTERVAL_SECONDS", _whole(1, 86400), 300, "How long after a collection the next one starts."),
    Setting("COLLECT_TIMEOUT_SECONDS", _whole(1, 86400), 240,
            "How long a source may take before it is stopped and counts as failed."),
    Setting("COLLECT_LONGEST_DELAY_SECONDS", _whole(1, 7 * 86400), 3600,
            "The longest delay after failures of a source; delays start at the interval and double up to it."),
    Setting("COLLECT_PERMANENT_DELAY_SECONDS", _whole(60, 30 * 86400), 86400,
            "When a source is asked again after an error that trying again does not fix, such as a wrong password."),
    Setting("WEBHOOK_URL", fields.String(validate=check_webhook_url), "",
            "Where the collector posts that a tag is stale, and fresh again; empty for nowhere."),
    Setting("WEBHOOK_SECRET", fields.String(validate=validate.Regexp("^$|^.{16,}$")), "",
            "Signs what is posted there; at least 16 characters, from where the BigFix password may come."),
    Setting("BIGFIX_SERVER", fields.String(validate=check_bigfix_server), "",
            "The BigFix server to collect from, https://HOST:52311; empty for none."),
    Setting("BIGFIX_USER", fields.String(), "",
            "The BigFix operator, best a master operator: others see only their own part."),
    Setting("BIGFIX_PASSWORD", fields.String(), "",
            "The operator's password; from the environment, or from a config.py that only its owner may read."),
    Setting("BIGFIX_TOKEN", fields.String(), "",
            "A bearer token in place of operator and password; from where the password may come."),
    Setting("BIGFIX_CREDENTIALS_FILE", fields.String(), "",
            "A file of one line, OPERATOR:PASSWORD or Bearer TOKEN, that only its owner may read (0600)."),
    Setting("BIGFIX_FINGERPRINT", fields.String(validate=validate.Regexp("^$|^([0-9A-Fa-f]{2}:?){32}$")), "",
            "The SHA-256 fingerprint of the BigFix server's certificate; no other certificate is accepted then."),
    Setting("BIGFIX_CA_FILE", fields.String(), "",
            "A PEM file of the authorities that may sign the BigFix server's certificate; else the system's."),
    Setting("BIGFIX_CONNECT_SECONDS", _whole(1, 3600), 10, "How long to wait for a connection to the BigFix server."),
    Setting("BIGFIX_QUERY_SECONDS", _whole(1, 86400), 60,
            "How long to wait for the answer to one relevance expression."),
    Setting("BIGFIX_METRICS", Relevance(), {},
            "A dict of metric name → relevance that is added to the default table; None drops a default metric."),
)
# fmt: on
#: Never shown, and only taken from a config.py that nobody else may read.
SECRETS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "BIGFIX_PASSWORD", "BIGFIX_TOKEN", "WEBHOOK_SECRET")
BY_NAME = {row.name: row for row in SETTINGS}


def display_value(name: str, value: Any) -> str:
    """Return the value of a setting as it may be shown, with dots for a secret."""
    if name in SECRETS and value:
        return "..."
    return repr(without_password(value) if name == "STORAGE" and isinstance(value, str) else value)
