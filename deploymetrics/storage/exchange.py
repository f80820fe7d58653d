"""Putting an unsynced file in the place of another one, without making the file system write it at once.

ext4 (mounted with ``auto_da_alloc``, its default) writes a file that is renamed over another one there and then, which
costs a third of what a whole write does. Linux can exchange two names in one step as well (``renameat2``, since 3.15),
which is as atomic and costs nothing of the kind; Python has no name for it. Elsewhere it is a rename.
"""

import ctypes
import os

from . import durable

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def put_in_place(draft, path):
    """Let ``draft`` be the file ``path``, at once for every reader; what was there is gone."""
    if exchange(draft, path):
        durable.remove_quietly(draft)
    else:
        os.rename(draft, path)


def exchange(one, other):
    """Exchange two files; whether that could be done."""
    if _renameat2 is None:
        return False
    return _renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _find():
    try:
        function = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
    return function


_renameat2 = _find()
