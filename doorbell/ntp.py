"""Whether NTP has set this machine's wall clock since it booted."""

from __future__ import annotations

import ctypes
from pathlib import Path

_STA_UNSYNC = 0x40
"""adjtimex(2): the kernel's clock is not synchronised."""
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes this file at its first synchronisation after boot."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),  # more than any kernel writes; we read no further
    )


def clock_is_synced() -> bool:
    """As systemd-timesyncd says, or any other program by the kernel."""
    return _SYNCHRONIZED.exists() or _kernel_says_synced()


def _kernel_says_synced() -> bool:
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return state >= 0 and not timex.status & _STA_UNSYNC
