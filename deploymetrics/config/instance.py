"""The instance folder: finding it, checking it, and acting as its owner."""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path

from ..errors import SettingError
from .settings import PREFIX
from .storage_url import FILES

INSTANCE = "DEPLOYMETRICS_INSTANCE"
# What a folder has one of as soon as it is an instance; the one that comes with a checkout has none of them.
_MARKS = {"config.py", "secret_key", "accounts", "data", "history", "locks"}
# What holds hashes and keys, and is made so that its owner alone may read it.
_PRIVATE = ("data", "secret_key")


def find_instance() -> Path:
    """Return the instance folder: that of the environment, else of a checkout, else the platform's folder for data."""
    if path := os.environ.get(INSTANCE):
        return Path(os.path.abspath(path))
    checkout = Path(__file__).parents[2] / "instance"
    if (checkout / "config.example.py").exists():
        return checkout.absolute()
    # What is installed goes with the next release, and this does not.
    return Path("/var/lib/deploymetrics") if os.geteuid() == 0 else user_data_path("deploymetrics", appauthor=False)


def existing_instance() -> Path:
    """Check the instance folder, act as its owner from now on, and return it. Raises SettingError."""
    folder = find_instance()
    check_exists(folder)
    become_owner(folder)
    check_folder(folder)
    return folder


def is_instance(folder: Path) -> bool:
    """Return True if the folder holds an instance; raises SettingError where this user may not read it."""
    try:
        return not _MARKS.isdisjoint(os.listdir(folder))
    except PermissionError as error:
        raise SettingError(_unreadable_message(folder)) from error
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_exists(folder: Path) -> None:
    """Raise SettingError unless the folder holds an instance, so that none is made by mistake.

    One whose storage is the database that the environment names may have nothing in it.
    """
    if os.environ.get(f"{PREFIX}STORAGE", FILES) == FILES and not is_instance(folder):
        detail = f"There is no instance at {folder}. {INSTANCE} names the folder; serve and account add make one."
        raise SettingError(detail)


def check_folder(folder: Path) -> None:
    """Raise SettingError if another user of the system owns the folder, or may write into it.

    Else its ``config.py`` would be run by whoever uses the folder, and root would leave files that its account cannot
    read. A folder of root's is anybody's: containers are given such a one.
    """
    if not folder.exists():  # where all is kept in a database
        return
    owner = folder.stat().st_uid
    if owner not in (0, os.geteuid()):
        raise SettingError(f"The instance folder {folder} belongs to {user_name(owner)}; run this as that account.")
    _check_mode(folder, stat.S_IWOTH, "may be written by everyone; make its mode 0700")
    for name in ("config.py", *_PRIVATE):
        if (folder / name).exists() and not os.access(folder / name, os.R_OK, effective_ids=True):
            raise SettingError(_unreadable_message(folder / name))
    for name in _PRIVATE:
        with suppress(FileNotFoundError):
            _check_mode(folder / name, 0o077, "may be read by others; make it private again: chmod -R go=")


def _unreadable_message(path: Path) -> str:
    owner = user_name(path.stat().st_uid)
    return f"{path} cannot be read by this account; it belongs to {owner}: run this as that account."


def _check_mode(path: Path, bits: int, sentence: str) -> None:
    if path.stat().st_mode & bits:
        raise SettingError(f"{path} {sentence}")


def become_owner(folder: Path) -> None:
    """Make a process of root act as the owner of the folder, or of its parent, from now on.

    So new files belong to that account, and its ``config.py`` gets no more rights than it has. Raises SettingError.
    """
    owner = next(path for path in (folder, *folder.parents) if os.path.exists(path)).stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        os.setgroups([owner.st_gid])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
        os.environ[INSTANCE] = str(folder)  # that account would find another one
    except OSError as error:
        user = user_name(owner.st_uid)
        raise SettingError(f"root cannot act as {user}, who has {folder}: {error.strerror}.") from error


def user_name(uid: int) -> str:
    """Return the name of a user of the system, or ``the account 1000`` for one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the account {uid}"
