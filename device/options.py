"""The options of the technician's commands, apart from what they do: every start of the daemon reads them."""

from __future__ import annotations

import argparse
from pathlib import Path

from device.texts import text

INSTALLED_CONFIG = Path("/etc/doorbell/device.toml")
"""Where the package has the settings of a device; its unit names the same file."""

DEFAULT_RECEIPT_S = 20
"""How long the receipt of a test event may take: three sends of the outbox (0, 2 and 6 s) and a reconnect."""


def add_selftest_options(parser: argparse.ArgumentParser) -> None:
    """What ``selftest`` may be told."""
    parser.add_argument("--config", type=Path, default=INSTALLED_CONFIG, metavar="FILE", help=text("config_default"))
    parser.add_argument("--socket", type=Path, metavar="PATH", help=text("socket"))
    parser.add_argument("--receipt", type=int, default=DEFAULT_RECEIPT_S, metavar="S", help=text("receipt_s"))
    parser.add_argument("--wait", type=int, default=0, metavar="S", help=text("wait_s"))
    parser.add_argument("--json", action="store_true", help=text("json_document"))


CHECKS = (
    "button", "light", "buzzer", "speaker", "clock", "disk", "power", "network", "certificate", "broker", "relay",
    "pair",
)  # fmt: skip
"""What a doctor can look at, in the order of a visit."""
HANDS_ON = frozenset({"button", "light", "buzzer", "speaker"})
"""What needs a person beside the device."""


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    """What ``doctor`` may be told."""
    parser.add_argument("--config", type=Path, default=INSTALLED_CONFIG, metavar="FILE", help=text("config_default"))
    parser.add_argument("--only", action="append", choices=CHECKS, help=text("only"))
    parser.add_argument("--yes", action="store_true", help=text("yes"))
    parser.add_argument("--listen", metavar="DEVICE", help=text("listen"))
    parser.add_argument("--force", action="store_true", help=text("force"))
    parser.add_argument("--pins", choices=("real", "mock"), default="real", help=text("doctor_pins"))
    parser.add_argument("--socket", type=Path, metavar="PATH", help=text("socket"))
    parser.add_argument("--json", action="store_true", help=text("json_document"))
