"""The instance folder copied while it is used, and brought back; and whether all that is stored can be read."""

import os
import shutil
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import click
from flask import current_app

from ..config.instance import become_owner, find_instance, is_instance
from ..config.storage_url import FILES
from ..errors import DamagedItemError, SettingError, StorageError
from ..formats.escaping import counted, escape, row
from ..maintenance import damages
from ..services import services
from .group import main

#: What a copy is without: the locks of this machine. The folder is made again where it is missing.
_LOCKS = "locks"


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def backup(folder: Path) -> None:
    """Copy the instance to a new FOLDER while the server runs.

    Then it reads the copy, and says what is in it: every version that was acknowledged before the command began,
    accounts, sessions and settings.
    """
    if current_app.config["STORAGE"] != FILES:
        raise click.ClickException("The documents are in a database; its own tools make backups of it.")
    if folder.exists():
        raise click.ClickException(f"{folder} exists; a backup goes into a new folder.")
    before = {item.key: item.version for item in services().documents.list().items}
    _copy(Path(current_app.instance_path), folder, without=_LOCKS)
    _check(folder, before)


@main.command(with_appcontext=False)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(folder: Path) -> None:
    """Make the instance from FOLDER, a backup.

    Then it reads that, and says what is in it. An instance that is there already has to be moved away first, with its
    server stopped.
    """
    instance = find_instance()
    if is_instance(instance):
        raise SettingError(f"There is an instance at {instance}; stop the server, and move it away first.")
    if not is_instance(folder):
        raise SettingError(f"There is no backup at {folder}.")
    become_owner(instance)
    _copy(folder, instance, without=_LOCKS)
    _check(instance, {})


@main.command()
@click.option("--repair", is_flag=True, help="Write anew the copies that are not right.")
def verify(repair: bool) -> None:
    """Read everything that is stored and name what is damaged.

    Exits with 1 where something is.
    """
    is_good = True
    for damage in damages(services().store, repair=repair):
        is_good = False
        click.echo(row(*damage))
    if not is_good:
        raise SystemExit(1)
    click.echo("Everything that is stored can be read.", err=True)


def _copy(source: Path, target: Path, without: str = "") -> None:
    """Copy a folder, with files private to the owner, ``without`` one subfolder.

    A file that is removed meanwhile is skipped: what it had is in other files by then. Raises SettingError for a target
    within the source, which would have no end.
    """
    if target.resolve().is_relative_to(source.resolve()):
        raise SettingError(f"{target} is within {source}; take a folder elsewhere.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        with suppress(FileNotFoundError):
            if entry.is_dir() and entry.name != without:
                _copy(Path(entry.path), target / entry.name)  # within it a tag may have that name
            elif entry.is_file():
                private = partial(os.open, mode=0o600)
                with open(entry.path, "rb") as old, open(target / entry.name, "xb", opener=private) as new:
                    shutil.copyfileobj(old, new, 2**20)
                    new.flush()
                    os.fsync(new.fileno())


def _check(folder: Path, before: dict[str, int]) -> None:
    """Read all of a copied instance and print what is in it; raises StorageError if something is damaged or too old.

    ``before`` has the version of each tag when the copy began.
    """
    from .. import create_app

    copied = services(create_app(folder, {"STORAGE": FILES}))
    problems: list[str] = []
    for tag, version in before.items():
        with suppress(DamagedItemError):
            if any(item.version >= version for item in islice(copied.documents.versions(tag), 1)):
                continue
        problems.append(f"{tag} is not there as it was.")
    for _ in damages(copied.store, repair=True):
        pass  # the files for people are written again: they were copied while others wrote them
    problems += [f"{name} {key}: {sentence}" for name, key, sentence in damages(copied.store)]
    documents, accounts = len(copied.documents.list().items), len(copied.accounts.list())
    click.echo(
        f"{counted(documents, 'document')} and {counted(accounts, 'account')}"
        f" {'is' if documents + accounts == 1 else 'are'} in {escape(str(folder))}."
    )
    if problems:
        raise StorageError(f"Something there is damaged or missing: {' '.join(problems)}")
