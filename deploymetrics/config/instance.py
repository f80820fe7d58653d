"""The instance folder: which one it is, whether there is one, and whose it is."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_path

from ..errors import SettingError
from . import INSTANCE

# What a folder has one of as soon as it is an instance; the one that comes with a checkout has none of them.
_MARKS = {"config.py", "secret_key", "accounts", "data", "history", "locks"}


def find_instance() -> Path:
    """Return the folder that the environment names, else the default one."""
    return Path(os.path.abspath(os.environ.get(INSTANCE) or default_instance()))


def default_instance() -> Path:
    """Return the folder of a checkout, else the platform's folder for data, which outlives the installed package."""
    checkout = Path(__file__).parents[2] / "instance"
    if (checkout / "config.example.py").exists():
        return checkout
    return Path("/var/lib/deploymetrics") if os.geteuid() == 0 else user_data_path("deploymetrics", appauthor=False)


def is_instance(folder: Path) -> bool:
    """Return True if there is an instance in the folder; raises SettingError where this account may not look."""
    try:
        return not _MARKS.isdisjoint(os.listdir(folder))
    except PermissionError as error:
        raise SettingError(f"The instance folder {folder} cannot be read by this account.") from error
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_exists(folder: Path) -> None:
    """Raise SettingError where there is no instance in the folder, so that none is made by mistake."""
    if not is_instance(folder):
        detail = f"There is no instance at {folder}. {INSTANCE} names the folder; serve and account add make one."
        raise SettingError(detail)


def check_owner(folder: Path) -> None:
    """Raise SettingError where root would leave files in the folder of another account, which could not read them."""
    owner = folder.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        raise SettingError(f"The instance folder {folder} belongs to {_name(owner)}; run this as that account.")


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Let root act as the account that has the folder, or is to have it, so that new files belong to that account."""
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path)).stat()
    if os.geteuid() != 0 or there.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        os.setgroups([there.st_gid])
        os.setegid(there.st_gid)
        os.seteuid(there.st_uid)
    except OSError as error:
        raise SettingError(f"root cannot act as {_name(there.st_uid)}, who has {folder}: {error.strerror}.") from error
    try:
        yield
    finally:
        if 0 in os.getresuid():  # else it was to last
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)


def stay_owner() -> None:
    """Make what ``as_owner`` did last as long as the process and its children."""
    os.setresgid(os.getegid(), os.getegid(), os.getegid())
    os.setresuid(os.geteuid(), os.geteuid(), os.geteuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the account {uid}"
