"""Loading the settings: from the environment, ``config.py`` or the defaults, each checked.

A setting is looked for in the environment as ``DEPLOYMETRICS_<NAME>``, then as ``<NAME>`` in ``config.py`` of the
instance folder, then the row's default holds. Whatever is not a row, or not valid, stops the start and is named. A
SECRET_KEY that is not set is generated.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from marshmallow import ValidationError

from ..errors import SettingError, with_names
from .instance import INSTANCE
from .settings import BY_NAME, MIN_SECRET_KEY, PREFIX, SETTINGS, display_value
from .storage_url import FILES

# What Kubernetes sets in every container for a Service whose name begins with "deploymetrics".
_SERVICE_LINK = re.compile(r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_PORT = re.compile(r"(.+_)?PORT=(tcp|udp|sctp)://.*")


class Settings(dict[str, Any]):
    """Every setting by name, checked. ``origins`` says where each comes from that is not the default."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        super().__init__(values)
        self.origins = origins


def load_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return every setting, with a generated SECRET_KEY if none is set; raises SettingError naming what is wrong."""
    settings = read_settings(instance, overrides)
    if not settings["SECRET_KEY"] and settings["STORAGE"] != FILES:
        raise SettingError(
            "SECRET_KEY is not set. With a database it has to be, and on all servers the same; a good one is printed by"
            " python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    settings["SECRET_KEY"] = settings["SECRET_KEY"] or _generated_secret_key(instance / "secret_key")
    return settings


def _generated_secret_key(path: Path) -> str:
    """Return the SECRET_KEY in a file, which the first caller generates; raises SettingError if that fails."""
    try:
        if not path.exists():
            with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as draft:
                draft.write(secrets.token_hex(32))
                draft.flush()
                os.fsync(draft.fileno())
                # link() fails where the key is there already: two workers that start together end up with one key.
                with suppress(FileExistsError):
                    os.link(draft.name, path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        detail = f"The generated SECRET_KEY cannot be read or made in the instance folder: {error}"
        raise SettingError(detail) from error
    if len(key) < MIN_SECRET_KEY:
        raise SettingError("The file secret_key in the instance folder is too short for a SECRET_KEY; remove it.")
    return key


def read_settings(instance: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return every setting, without generating a SECRET_KEY; ``overrides`` go first. Raises SettingError."""
    values = {row.name: row.default for row in SETTINGS}
    are_set = {  # of a setting that is set twice, what goes first stands last
        **{name: (value, "config.py") for name, value in _from_file(instance / "config.py").items()},
        **{name: (value, f"environment, {variable}") for variable, name, value in _from_environment()},
        **{name: (value, "command line") for name, value in (overrides or {}).items()},
    }
    values |= {name: _check_value(name, value, origin) for name, (value, origin) in are_set.items()}
    if values["REMOTE_USER_HEADER"] and not values["PROXIES"]:
        raise SettingError("The setting REMOTE_USER_HEADER needs PROXIES: without a proxy any client could send it.")
    if values["WEBHOOK_URL"] and not values["WEBHOOK_SECRET"]:
        raise SettingError("The setting WEBHOOK_URL needs WEBHOOK_SECRET, which signs what is sent there.")
    return Settings(values, {name: origin for name, (_, origin) in are_set.items()})


def _check_value(name: str, value: Any, origin: str) -> Any:
    if name not in BY_NAME:
        similar = get_close_matches(name.upper().removeprefix(PREFIX), BY_NAME, 1)
        hint = f"Did you mean {similar[0]}?" if similar else f"The settings are {', '.join(BY_NAME)}."
        raise SettingError(f"There is no setting {name} ({origin}). {hint}")
    try:
        return BY_NAME[name].field.deserialize(value)
    except ValidationError as error:
        raise SettingError(f"The setting {name} ({origin}) is not usable: {with_names(error.messages)}") from error


def _from_environment() -> Iterator[tuple[str, str, str]]:
    """Yield (variable, name of the setting, value) for each setting in the environment."""
    for variable, value in os.environ.items():
        if variable.upper().startswith(PREFIX) and variable != INSTANCE:
            name = variable.removeprefix(PREFIX)
            # What only looks like one of Kubernetes is taken for a misspelt setting.
            if not (_SERVICE_LINK.fullmatch(name) or _SERVICE_PORT.fullmatch(f"{name}={value}")):
                yield variable, name, value


def _from_file(path: Path) -> dict[str, Any]:
    """Return the settings in a config.py, which are its names in upper case; raises SettingError."""
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
    values = {name: value for name, value in names.items() if name.isupper()}
    for name, value in values.items():
        if display_value(name, value) != repr(value) and stat.st_mode & 0o077:
            raise SettingError(f"config.py holds {name} and others may read it; make its mode 0600.")
    return values
