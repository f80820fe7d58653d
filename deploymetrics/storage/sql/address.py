"""The address of a database: the URL of the setting STORAGE as parameters for libpq, which may name several servers.

``postgresql+psycopg://deploymetrics@/deploymetrics?host=db1:5432&host=db2:5432`` names two servers, of which one is
the primary at a time. What else stands in the query is libpq's: ``sslmode``, ``passfile``, ``connect_timeout``, … A
password may also come from ``PGPASSWORD``, ``PGPASSFILE`` or ``~/.pgpass``.

A standby may be behind, so ``target_session_attrs`` can only ask for a primary. Text is UTF-8, whatever the account,
the database or ``PGCLIENTENCODING`` has.
"""

from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ...config.addresses import is_host, is_port
from ...config.storage_url import without_password
from ...errors import SettingError

_PRIMARY = ("read-write", "primary")
#: What libpq is told unless the URL says otherwise. A server that is gone without a word is noticed while it is idle.
_DEFAULTS = {
    "application_name": "deploymetrics",
    "connect_timeout": "2",
    "target_session_attrs": _PRIMARY[0],
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
Host = tuple[str, str]


class Address:
    """The address of a database: connection parameters, and servers in the order in which they are tried."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            _, from_url = parsed.get_dialect()().create_connect_args(parsed)
        except (ArgumentError, ValueError) as error:
            raise SettingError(
                "STORAGE is not a URL of the form postgresql+psycopg://USER@HOST:PORT/DATABASE, or for several servers"
                " postgresql+psycopg://USER@/DATABASE?host=HOST:PORT&host=HOST:PORT."
            ) from error
        self.parameters: dict[str, Any] = {**_DEFAULTS, **from_url, "client_encoding": "utf8"}
        if self.parameters["target_session_attrs"] not in _PRIMARY:
            raise SettingError(f"STORAGE can have target_session_attrs {' or '.join(_PRIMARY)} only.")
        hosts = str(self.parameters.pop("host", "")).split(",")
        ports = str(self.parameters.pop("port", "")).split(",")
        ports += ports[-1:] * (len(hosts) - len(ports))
        self.hosts: list[Host] = list(zip(hosts, ports, strict=True))
        if len(hosts) > 1 and ("hostaddr" in self.parameters or "[" in hosts):  # SQLAlchemy cannot tell it from a port
            raise SettingError("STORAGE names several servers by name or IPv4 address, in host only.")
        for name, port in self.hosts:
            if not (_is_local(name) or is_host(_in_brackets(name))) or not (port == "" or is_port(port)):
                # Not repeated: a part of a password that was not encoded reads as one.
                raise SettingError("STORAGE names a server whose host or port cannot be one.")
        self.text = without_password(url)

    def prefer(self, host: Host, *, before_others: bool) -> None:
        """Try a server first, or last, at the next connection."""
        others = [other for other in self.hosts if other != host]
        self.hosts = [host, *others] if before_others else [*others, host]

    def conninfo(self) -> dict[str, Any]:
        """Return the connection parameters for libpq, with the servers in their current order."""
        hosts = [(name, port) for name, port in self.hosts if name or port]
        if not hosts:
            return self.parameters
        names, ports = zip(*hosts, strict=True)
        return self.parameters | {"host": ",".join(names), "port": ",".join(ports)}


def _is_local(name: str) -> bool:
    """Return True for no name, or that of a folder with a socket or of an abstract socket."""
    return name[:1] in ("", "/", "@")


def _in_brackets(name: str) -> str:
    """Put an IPv6 address, of which libpq wants the zone and SQLAlchemy takes the brackets, in brackets."""
    return f"[{name.partition('%')[0]}]" if ":" in name else name
