"""The exceptions of the project. The type says who is to blame.

``PeerError``: somebody outside sent something wrong: drop it, count it, keep it for a technician.
``SetupError``: a file or an argument of the person at the keyboard is wrong: say what to do.
``DoorbellBug``: we are wrong: fail loudly, the service manager starts us again.
"""

from __future__ import annotations


class DoorbellError(Exception):
    """Root of everything that this project raises on purpose."""


class PeerError(DoorbellError, ValueError):
    """A message from outside cannot be used.

    ``reason`` is a stable word for counters (``too_large``, ``not_json``, ``invalid``, ``unknown_type`` or
    ``bad_topic``); ``detail`` says more to a technician. The blame is the sender's.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class SetupError(DoorbellError, ValueError):
    """A setting, a file or an argument is wrong; the message says what to change. Commands exit with 2."""


class DoorbellBug(DoorbellError, RuntimeError):  # noqa: N818 - it is blame, not an error of the outside
    """A rule of our own code is broken. Never caught: the process ends and is started again."""
