"""The entry point of ``doorbell-device``; what it does is in ``device.command``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command."""
    if "structlog" not in sys.modules:
        # structlog imports rich where it is installed, as beside a relay, and the daemon would carry 7 MB for nothing.
        sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None: "cannot be imported"
    from device.command import main as command  # noqa: PLC0415 - after the line above

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
