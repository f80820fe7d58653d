"""What ``deploymetrics storage`` does, for either storage: make it, bring it over, say how it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from .clock import Clock
from .config.storage_url import FILES
from .storage import Retention, open_storage
from .upgrade import upgrade as upgrade_folder


def init(folder: str, settings: Mapping[str, Any]) -> str:
    """Make the storage and return a sentence; raises SettingError where there is one, or it cannot be made."""
    if settings["STORAGE"] != FILES:
        from .storage.sql import address, schema

        return schema.init(address.Address(settings["STORAGE"]))
    from . import create_app

    create_app(folder)
    return f"The instance folder is {folder}."


def upgrade(folder: str, settings: Mapping[str, Any]) -> str:
    """Bring the storage over to this release and return a sentence; raises SettingError."""
    if settings["STORAGE"] != FILES:
        from .storage.sql import address, schema

        return schema.upgrade(address.Address(settings["STORAGE"]))
    upgrade_folder(folder, Clock())
    return f"The instance folder {folder} has the format of this release."


def status(folder: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for what there is to say of the storage; raises SettingError where it cannot be used."""
    if settings["STORAGE"] == FILES:
        yield "storage", f"files in {folder}"
    else:
        from .storage.sql import address, state

        yield from state.state(address.Address(settings["STORAGE"]))
    store = open_storage(settings["STORAGE"], folder, Clock(), Retention(), make=False)
    store.check()
    yield "can be read", "yes"
