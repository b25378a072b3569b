"""``doorbell-relay``, also as ``python -m relay``."""

from __future__ import annotations

import sys

from relay.commands.program import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
