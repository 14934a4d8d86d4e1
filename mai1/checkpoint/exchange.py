"""Let two directories change places in one instant, where the system can."""

import ctypes
import os
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Of linux/fcntl.h and linux/fs.h."""


def exchange(one: Path, other: Path) -> bool:
    """Give two paths that both exist each other's name, links as links; False where that cannot be, with nothing changed.

    It is renameat2(2) with RENAME_EXCHANGE: Linux from 3.15 with ext4, xfs, btrfs or tmpfs, but not with NFS. Whatever the
    reason for a refusal is, a plain rename that is tried next says it.
    """
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    first, second = (ctypes.c_char_p(os.fsencode(path)) for path in (one, other))
    return renameat2(_AT_FDCWD, first, _AT_FDCWD, second, ctypes.c_uint(_RENAME_EXCHANGE)) == 0
