"""What there is to say of a database, for an administrator."""

from collections.abc import Iterator

from sqlalchemy import text

from .address import Address
from .schema import VERSION, connected, version_of

_SETTINGS = """
SELECT current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('synchronous_standby_names'), current_setting('fsync'), current_setting('full_page_writes'),
       (SELECT count(*) FROM pg_stat_replication), current_setting('max_connections')"""


def status(address: Address) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each fact; raises SettingError where the database cannot be used."""
    with connected(address) as connection:
        version, commit, names, fsync, full_page_writes, standbys, most = connection.execute(text(_SETTINGS)).one()
        info = connection.connection.dbapi_connection.info  # type: ignore[union-attr]
        yield "storage", f"PostgreSQL {version} at {info.host} port {info.port}, {address.text}"
        yield "tables", f"version {version_of(connection) or 'none'}; this release needs {VERSION}"
        yield "synchronous standbys", f"{names or 'none, so a failover may lose acknowledged writes'}"
        yield "standbys connected", str(standbys)
        yield "connections at most", most
        if commit in ("off", "local"):
            yield "synchronous_commit", f"{commit}; this server sets it to on for what has to be durable"
        if "off" in (fsync, full_page_writes):
            yield "fsync, full_page_writes", f"{fsync}, {full_page_writes}: a power loss may destroy the database"
