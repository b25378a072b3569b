"""Looks at lines of the header: watch.py SECONDS LINE...; for each its level at the start and every change, as JSON.

A time is in milliseconds since the start.
"""

import json
import sys
import threading
import time

HEADER = "/run/virtual-pi/header"


def main() -> None:
    """Look, then tell."""
    seconds, lines = float(sys.argv[1]), sys.argv[2:]
    files = {line: open(f"{HEADER}/sim_gpio{line}/value") for line in lines}  # noqa: PTH123, SIM115 - read 200 times a second
    seen: dict[str, list[tuple[int, int]]] = {line: [] for line in lines}
    pause, began = threading.Event(), time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for line, file in files.items():
            file.seek(0)
            value = int(file.read())
            if not seen[line] or seen[line][-1][1] != value:
                seen[line].append((round(now * 1000), value))
        pause.wait(0.005)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
