"""The settings: one row each, from which come the defaults, the checks, the table in the README and the example file.

A setting is looked for in the environment as ``DEPLOYMETRICS_<NAME>``, then as ``<NAME>`` in ``config.py`` of the
instance folder, then the row's default holds. Whatever is not a row, or not valid, stops the start and is named.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from marshmallow import Schema, ValidationError, fields, validate

from ..errors import SettingError
from ..schemas import WholeNumber

PREFIX = "DEPLOYMETRICS_"
INSTANCE = "DEPLOYMETRICS_INSTANCE"
SECRET_KEY_FILE = "secret_key"
MIN_SECRET_KEY = 16


class Setting(NamedTuple):
    """A row: its name, the marshmallow field that checks it, its default and a sentence of help."""

    name: str
    field: fields.Field
    default: Any
    help: str


def _whole(low, high):
    return WholeNumber(validate=validate.Range(low, high))


def _check_printable(text):
    if not text.isprintable():
        raise ValidationError("It holds a character that cannot be printed.")


class _Expression(fields.Nested):
    """Relevance as text, or a dict with ``relevance``, ``answer`` and ``every``, of which each may be missing."""

    def __init__(self):
        relevance = fields.String(validate=validate.Length(1))
        answer = fields.String(validate=validate.OneOf(["number", "text", "counts", "any"]))
        every = _whole(0, 30 * 86400)
        schema = Schema.from_dict({"relevance": relevance, "answer": answer, "every": every})
        super().__init__(schema, allow_none=True)

    def _deserialize(self, value, attr, data, **kwargs):
        return value if isinstance(value, str) else super()._deserialize(value, attr, data, **kwargs)


class _Relevance(fields.Dict):
    """A dict of name → _Expression or None; in the environment it is JSON."""

    def __init__(self):
        super().__init__(fields.String(validate=[validate.Length(1, 200), _check_printable]), _Expression())

    def _deserialize(self, value, attr, data, **kwargs):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValidationError("It is not JSON.") from None
        return super()._deserialize(value, attr, data, **kwargs)


SETTINGS = (
    Setting("SECRET_KEY", fields.String(allow_none=True, validate=validate.Length(MIN_SECRET_KEY)), None,
            "Signs the login cookie; at least 16 characters. Generated into the instance folder when not set."),
    Setting("STORAGE", fields.String(validate=validate.OneOf(["files:"])), "files:",
            "Where documents and accounts are kept: files: is JSON files in the instance folder."),
    Setting("MAX_BODY_BYTES", _whole(1, 2**30), 2**20,
            "The largest request body, in bytes; a larger one is refused with 413."),
    Setting("SESSION_SECONDS", _whole(1, 30 * 86400), 300,
            "How long a SessionToken from /api/login lives after its last use."),
    Setting("LOGIN_SECONDS", _whole(1, 365 * 86400), 8 * 3600,
            "How long a browser's login lives after its last use."),
    Setting("CREDENTIAL_CACHE_SECONDS", _whole(0, 3600), 60,
            "How long a worker remembers that a credential was right; 0 checks the password on each request."),
    Setting("GUESSES", _whole(1, 1000), 5,
            "Wrong passwords that an account takes from one address before answers are delayed with 429."),
    Setting("GUESSES_PER_ADDRESS", _whole(1, 100_000), 50,
            "Wrong credentials of all kinds that one address may send before it is delayed with 429."),
    Setting("GUESS_DELAY_SECONDS", _whole(1, 86400), 900,
            "The longest delay after wrong credentials; delays start at one second and double up to it."),
    Setting("HISTORY_VERSIONS", _whole(0, 1_000_000), 1000,
            "How many superseded versions of a document are kept."),
    Setting("HISTORY_DAYS", _whole(1, 36500), 400,
            "How many days a superseded version is kept."),
    Setting("PROXIES", _whole(0, 10), 0,
            "How many reverse proxies in front are trusted to set X-Forwarded-For, -Proto, -Host and -Prefix."),
    Setting("COLLECT", fields.Boolean(), True,
            "Whether serve runs the collector, which fills the document platform."),
    Setting("COLLECT_INTERVAL_SECONDS", _whole(1, 86400), 300,
            "How long after a collection the next one starts."),
    Setting("COLLECT_TIMEOUT_SECONDS", _whole(1, 86400), 240,
            "How long a source may take before it is stopped and counts as failed."),
    Setting("COLLECT_LONGEST_DELAY_SECONDS", _whole(1, 7 * 86400), 3600,
            "The longest delay after failures of a source; delays start at the interval and double up to it."),
    Setting("COLLECT_PERMANENT_DELAY_SECONDS", _whole(60, 30 * 86400), 86400,
            "When a source is asked again after an error that trying again does not fix, such as a wrong password."),
    Setting("BIGFIX_SERVER", fields.String(), "",
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
    Setting("BIGFIX_CONNECT_SECONDS", _whole(1, 3600), 10,
            "How long to wait for a connection to the BigFix server."),
    Setting("BIGFIX_QUERY_SECONDS", _whole(1, 86400), 60,
            "How long to wait for the answer to one relevance expression."),
    Setting("BIGFIX_METRICS", _Relevance(), {},
            "A dict of metric name → relevance that is added to the default table; None drops a default metric."),
)
SECRETS = ("BIGFIX_PASSWORD", "BIGFIX_TOKEN")
BY_NAME = {row.name: row for row in SETTINGS}


def load_settings(instance, overrides=None):
    """A dict of every setting by name, with a secret key; raises SettingError naming the one that is not usable."""
    found = {**_from_file(instance / "config.py"), **_from_environment(), **(overrides or {})}
    settings = {row.name: row.default for row in SETTINGS}
    for name, value in found.items():
        settings[name] = _checked(name, value)
    settings["SECRET_KEY"] = settings["SECRET_KEY"] or _generated_secret_key(instance)
    return settings


def wants_collector(instance):
    """Whether serve is to run the collector; not where the settings are unusable, which the log says soon enough."""
    try:
        return load_settings(Path(instance))["COLLECT"]
    except SettingError:
        return False


def _checked(name, value):
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise SettingError(f"There is no setting {name}. The settings are {known}.")
    try:
        return BY_NAME[name].field.deserialize(value)
    except ValidationError as error:
        raise SettingError(f"The setting {name} is not usable: {' '.join(error.messages)}") from error


def _from_environment():
    return {
        name.removeprefix(PREFIX): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name != INSTANCE
    }


def _from_file(path):
    values = {"__file__": str(path)}
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"config.py of the instance folder cannot be read: {error.strerror}") from error
    try:
        exec(compile(source, str(path), "exec"), values)
    except (Exception, SystemExit) as error:
        raise SettingError(f"config.py of the instance folder fails: {type(error).__name__}: {error}") from error
    found = {name: value for name, value in values.items() if name.isupper()}
    for name in SECRETS:
        if found.get(name) and path.stat().st_mode & 0o077:
            raise SettingError(f"config.py holds {name} and others may read it; make its mode 0600.")
    return found


def _generated_secret_key(instance):
    """The key in the instance folder; the first caller makes it, and all workers read the same one."""
    path = instance / SECRET_KEY_FILE
    try:
        if not path.exists():
            _create_secret_key(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        detail = f"The generated SECRET_KEY cannot be read or made in the instance folder: {error}"
        raise SettingError(detail) from error
    if len(key) < MIN_SECRET_KEY:
        raise SettingError("The file secret_key in the instance folder is too short for a SECRET_KEY; remove it.")
    return key


def _create_secret_key(path):
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # link() fails where the key is there already: two workers that start together end up with one key.
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
    finally:
        draft.unlink(missing_ok=True)
