"""The schema of the database: making and upgrading the tables, refusing other versions, and their status.

Alembic makes and changes the tables, by the migrations beside this. Of two commands at the same time one waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from ...errors import SettingError, StorageError, StorageFullError
from .address import Address
from .connection import Connection
from .failures import sentence

VERSION_TABLE = "deploymetrics_schema"
#: What this release reads and writes: the last of the migrations.
VERSION = "0001"
#: Any number that nobody else locks.
_LOCK = 0x6465706C6F79
_SETTINGS = """
SELECT current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('synchronous_standby_names'), current_setting('fsync'), current_setting('full_page_writes'),
       (SELECT count(*) FROM pg_stat_replication), current_setting('max_connections')"""


def check_schema(connection: Connection) -> None:
    """Raise StorageError if the database of a new connection has no tables, or those of another release."""
    row = None
    with suppress(psycopg.errors.UndefinedTable):
        # Readers wait for a table that is locked no longer than for anything else, nor leave a process there that does.
        limit = f"set_config('lock_timeout', '{connection.lock_timeout}', false)"
        statement = f"SELECT version_num, current_setting('synchronous_commit'), {limit} FROM {VERSION_TABLE}"
        row = connection.execute(statement).fetchone()
    if problem := _version_problem(row[0] if row else None):
        raise StorageError(log=problem)
    if row:
        connection.waits_for = row[1]


def _version_problem(version: str | None) -> str:
    if version is None:
        return "It has no tables of deploymetrics yet; make them: deploymetrics storage init"
    if version == VERSION:
        return ""
    if version in _known_versions():
        return (
            f"Its tables have the version {version}, and this release needs {VERSION}. Stop all servers, make a backup,"
            " and bring them over: deploymetrics storage upgrade"
        )
    return f"Its tables have the version {version}; this release knows {VERSION}. Use the release that made them."


def _known_versions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def init(address: Address) -> str:
    """Make the tables and return a sentence for the person; raises SettingError if there are some, or no UTF-8."""
    with _migrating(address) as (connection, version):
        if version is not None:
            raise SettingError(f"The database {address.text} has tables already, of the version {version}.")
        _upgrade(connection)
    return f"Made the tables, of the version {VERSION}, in {address.text}."


def upgrade(address: Address) -> str:
    """Upgrade the tables to this release and return a sentence for the person; raises SettingError."""
    with _migrating(address) as (connection, version):
        if version == VERSION:
            return f"The tables in {address.text} have the version of this release, {VERSION}."
        if version is None or version not in _known_versions():
            raise SettingError(f"The database {address.text} cannot be brought over. {_version_problem(version)}")
        _upgrade(connection)
    return f"Brought the tables in {address.text} over from the version {version} to {VERSION}."


def status(address: Address) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each fact about the database; raises SettingError if it cannot be used."""
    with _connected(address) as connection:
        version, commit, names, fsync, full_page_writes, standbys, most = connection.execute(
            sqlalchemy.text(_SETTINGS)
        ).one()
        info = connection.connection.dbapi_connection.info  # type: ignore[union-attr]
        yield "storage", f"PostgreSQL {version} at {info.host} port {info.port}, {address.text}"
        yield "tables", f"version {_version_of(connection) or 'none'}; this release needs {VERSION}"
        yield "synchronous standbys", f"{names or 'none, so a failover may lose acknowledged writes'}"
        yield "standbys connected", str(standbys)
        yield "connections at most", most
        if commit in ("off", "local"):
            yield "synchronous_commit", f"{commit}; this server sets it to on for what has to be durable"
        if "off" in (fsync, full_page_writes):
            yield "fsync, full_page_writes", f"{fsync}, {full_page_writes}: a power loss may destroy the database"


@contextmanager
def _migrating(address: Address) -> Iterator[tuple[sqlalchemy.Connection, str | None]]:
    """Give a connection and the version of the tables, in a transaction that only one command at a time has."""
    with _connected(address) as connection, connection.begin():
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield connection, _version_of(connection)


def _version_of(connection: sqlalchemy.Connection) -> str | None:
    """Return the version of the tables, or None where there are none."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


@contextmanager
def _connected(address: Address) -> Iterator[sqlalchemy.Connection]:
    """Give a connection of SQLAlchemy for a command; raises SettingError, or StorageError while it is in use."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: _connect(address), poolclass=sqlalchemy.NullPool
    )
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise SettingError(f"The database {address.text} cannot be used: {_error_message(error)}") from error
    try:
        with connection:
            yield connection
    except DBAPIError as error:
        kind = StorageFullError if getattr(error.orig, "sqlstate", None) == "53100" else StorageError
        raise kind(f"The database {address.text} refused: {_error_message(error)}") from error


def _connect(address: Address) -> psycopg.Connection[Any]:
    connection = psycopg.connect(**address.conninfo())
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise SettingError(
            f"The database {address.text} has the encoding {encoding}; make one with UTF8:"
            " createdb --encoding UTF8 --template template0 NAME"
        )
    return connection


def _error_message(error: DBAPIError) -> str:
    return sentence(error.orig) if isinstance(error.orig, psycopg.Error) else type(error.orig).__name__


def _upgrade(connection: sqlalchemy.Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, VERSION)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
