"""The garbage collector, told what a relay is: millions of values that stay, and hardly a circle among what goes.

Python looks for circles of references among all that lives, again and again as more lives: with a register of 20,000
devices each such look stopped the relay for 30 ms and more, with a million for seconds, in the middle of a press. So
what has lived through one look is not looked at any more. Values without circles are freed when nobody refers to them,
as ever; a circle that lives for long and ends later is kept for good, and the relay makes none in its turns (a
connection's is broken by ``doorbell.connection``).
"""

from __future__ import annotations

import gc

NEW_VALUES = 2_000
"""Values that are new and stay, between two looks at them: those of 50 presses, about 0.7 ms; 20,000 took 5 ms."""
_NEVER = 2**31 - 1


def keep_what_lives() -> None:
    """Put everything that lives now out of the collector's sight, and from now on what lives through a look."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_VALUES, _NEVER, _NEVER)
    if _freeze_survivors not in gc.callbacks:
        gc.callbacks.append(_freeze_survivors)


def _freeze_survivors(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 0:
        gc.freeze()
