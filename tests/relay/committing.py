"""A relay's store that is killed while it commits, for the tests of durability."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

CHILD = """
    import sys
    from datetime import UTC, datetime
    from itertools import count
    from uuid import UUID

    from relay.adapters.store import SqlStore
    from relay.ports import Batch, EventRow

    store = SqlStore.open(sys.argv[1], exclusive=True)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    for number in count(1):
        ids = [str(UUID(int=number * 10 + n, version=4)) for n in range(3)]
        store.commit(Batch(events=[EventRow(i, "xihu", "panel", "help", at, at, i, "applied", b"{}") for i in ids]))
        print(*ids, flush=True)
"""

KILLED_AFTER = 300
"""Ids that the child has said to be committed when it is killed."""


def kill_in_mid_commit(target: str) -> list[str]:
    """Have a process commit batches of three events into a database, kill it, and return the ids that it printed."""
    words = [sys.executable, "-c", textwrap.dedent(CHILD), target]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        printed: list[str] = []
        for line in child.stdout:
            printed += line.split()
            if len(printed) >= KILLED_AFTER:
                child.kill()
                break
        printed += "".join(child.stdout).split()
        assert child.wait(timeout=30) == -signal.SIGKILL
    return printed
