"""The process's memory: rare looks for garbage, and freed memory that is kept for the next request.

Both are asked of the runtime once, at the start.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

YOUNG_OBJECTS: Final = 20_000
"""As many new objects until Python looks for unreachable cycles; its default of 700 is less than
some tens of requests hold, and looking took a sixth of a request's time. Neither requests nor
connections leave cycles."""
KEPT_BYTES: Final = 16 * 2**20
"""As much freed memory at the heap's end is kept. glibc gives back all over 128 KiB, and a request
with a prompt of 64 KiB paid ten page faults, a tenth of its time, to get it again."""
MAPPED_BYTES: Final = 2 * 2**20
"""Larger blocks, such as a request's body with images, are mapped, and given back at once."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def settle() -> None:
    """Call this once everything is there that stays for good."""
    gc.collect()
    gc.freeze()  # what is there for good is looked at no more
    gc.set_threshold(YOUNG_OBJECTS)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Tell glibc's malloc; return False where there is another, such as musl's."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        kept = mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES) and kept)
    return False
