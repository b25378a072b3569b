"""The options of the technician's commands, apart from what they do: every start of the daemon reads them."""

from __future__ import annotations

import argparse
from pathlib import Path

from device.texts import text

DEFAULT_RECEIPT_S = 20
"""How long the receipt of a test event may take: three sends of the outbox (0, 2 and 6 s) and a reconnect."""


def add_selftest_options(parser: argparse.ArgumentParser) -> None:
    """What ``selftest`` may be told."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help=text("config"))
    parser.add_argument("--socket", type=Path, metavar="PATH", help=text("socket"))
    parser.add_argument("--receipt", type=int, default=DEFAULT_RECEIPT_S, metavar="S", help=text("receipt_s"))
    parser.add_argument("--wait", type=int, default=0, metavar="S", help=text("wait_s"))
    parser.add_argument("--json", action="store_true", help=text("json_document"))
