"""``doorbell-sim``: the storm, the embedded broker, and the demo."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from doorbell.errors import SetupError
from sim.schedule import TRAIL_LENGTH
from sim.storm import StormPlan, storm_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code. A mistake of the person at the keyboard is 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["demo"]:
        return int(importlib.import_module("sim.demo").main(words[1:]))
    options = _parser().parse_args(words)
    try:
        return _broker(options) if options.command == "broker" else _storm(options)
    except SetupError as error:
        print(f"doorbell-sim: {error}", file=sys.stderr)
        return 2


def _storm(options: argparse.Namespace) -> int:
    plan = StormPlan(options.households, options.days, options.steps)
    if options.seed is not None:
        return storm_command(range(options.seed, options.seed + 1), plan, 1, as_json=options.json)
    return storm_command(range(options.first, options.first + options.seeds), plan, options.jobs, as_json=options.json)


def _broker(options: argparse.Namespace) -> int:
    from doorbell.logs import configure_logs  # noqa: PLC0415 - the storm needs neither logs nor a broker
    from sim.broker import run_broker  # noqa: PLC0415

    configure_logs()
    return run_broker(options.port, options.data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="doorbell-sim", description="The village: storm, embedded broker, demo.")
    commands = parser.add_subparsers(dest="command", required=True)
    storm = commands.add_parser("storm", help="seeded days of a village with everything going wrong")
    storm.add_argument("--seeds", type=_number(1), default=100, help="how many (default 100)")
    storm.add_argument("--first", type=_number(0), default=1, help="the first seed (default 1)")
    storm.add_argument("--seed", type=_number(0), help="replay this seed alone")
    storm.add_argument("--households", type=_number(1, 200), default=20)
    storm.add_argument("--days", type=_number(1, 60), default=1)
    storm.add_argument(
        "--jobs", type=_number(1, 256), default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    storm.add_argument("--steps", type=_number(1), default=TRAIL_LENGTH, help="steps shown of a seed that fails")
    storm.add_argument("--json", action="store_true", help="one JSON line per failure, and one at the end")
    broker = commands.add_parser("broker", help="run the embedded broker until SIGTERM")
    broker.add_argument("--port", type=_number(1, 65_535), default=1883)
    broker.add_argument("--data", type=Path, required=True, help="where it keeps its messages")
    commands.add_parser("demo", help="a neighbourhood, live in the terminal (demo --help)", add_help=False)
    return parser


class _Number:
    def __init__(self, low: int, high: int | None) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        number = int(text)
        if number < self._low or (self._high is not None and number > self._high):
            limit = f"at least {self._low}" if self._high is None else f"{self._low} to {self._high}"
            raise argparse.ArgumentTypeError(f"{number} is not {limit}")
        return number


def _number(low: int, high: int | None = None) -> _Number:
    return _Number(low, high)


if __name__ == "__main__":
    sys.exit(main())
