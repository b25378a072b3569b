"""Makes a line chatter: chatter.py LINE BURSTS; prints the longest contact there was, in ms.

The kernel raises an edge for each change, as for a bouncing contact: three of 2 ms, 3 ms apart, then a rest. Within a
burst the loop is busy, because a sleep is too coarse.
"""

import sys
import threading
import time

HEADER = "/run/virtual-pi/header"
CLOSED_MS, OPEN_MS, REST_S = 2, 3, 0.2


def main() -> None:
    """Burst after burst, and let go."""
    line, bursts = sys.argv[1], int(sys.argv[2])
    longest, pause = 0.0, threading.Event()
    with open(f"{HEADER}/sim_gpio{line}/pull", "w", buffering=1) as pull:  # noqa: PTH123
        for _ in range(bursts):
            for _ in range(3):
                began = time.monotonic()
                pull.write("pull-down\n")
                _spin(CLOSED_MS)
                pull.write("pull-up\n")
                longest = max(longest, (time.monotonic() - began) * 1000)
                _spin(OPEN_MS)
            pause.wait(REST_S)
    print(f"{longest:.1f}")


def _spin(ms: float) -> None:
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end:
        pass


if __name__ == "__main__":
    main()
