"""Folders on the file systems that people use: the one of temporary files, one in memory, and mounted ones for root."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

FILE_SYSTEMS = ["temporary", "tmpfs", "xfs", "btrfs"]
#: The least that mkfs.xfs takes; the image has holes, so little of it is on the disk.
_IMAGE_BYTES = 320 * 2**20


@contextmanager
def folder_on(name):
    """Give an empty folder on a file system. Skips where it cannot be had."""
    if name == "tmpfs" and not os.access("/dev/shm", os.W_OK):
        _missing("/dev/shm, a file system in memory")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if name == "tmpfs" else None) as folder:
        if name in ("temporary", "tmpfs"):
            yield Path(folder)
        else:
            with _mounted(name, Path(folder)) as path:
                yield path


@contextmanager
def _mounted(name, folder):
    if shutil.which(f"mkfs.{name}") is None:
        _missing(f"mkfs.{name} (Debian: {name}progs, btrfs-progs)")
    image, path = folder / f"{name}.image", folder / name
    with open(image, "wb") as file:
        file.truncate(_IMAGE_BYTES)
    subprocess.run([f"mkfs.{name}", "-q", str(image)], check=True, capture_output=True)
    path.mkdir()
    mounting = subprocess.run(["mount", "-o", "loop", str(image), str(path)], capture_output=True, text=True)
    if mounting.returncode:
        pytest.skip(f"only root mounts a file: {mounting.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _missing(what):
    """Skip, or fail in CI, which installs it."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")
