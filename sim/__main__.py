"""``doorbell-sim``: the storm, the embedded broker, and the demo."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from doorbell.errors import SetupError
from relay.texts import Language, Text, choose_language
from sim.day import HEARTBEAT_S, DayPlan, day_command
from sim.schedule import TRAIL_LENGTH
from sim.storm import StormPlan
from sim.storm_command import StormOrder, storm_command

_ABOUT = Text("模拟的村子：风暴测试、内置消息代理、演示。", "The village: the storm, the embedded broker, the demo.")
_STORM = Text(
    "村子里样样出错的日子，按种子可重演", "days of a village with everything going wrong, replayed by their seed"
)
_DAY = Text(
    "许多住户的平常一天，虚拟时间，检查照常", "an ordinary day of many households, on virtual time, with all checks"
)
_ALL_HOMES = Text(
    "户数，1–20000（默认 1000），每 50 户一个社区", "households, 1–20000 (default 1000), 50 to a community"
)
_BEAT = Text("每台设备多少秒报一次平安（默认 3600）", "seconds between two heartbeats of a device (default 3600)")
_DAY_SEED = Text("哪一天（默认 1）", "which day (default 1)")
_DAY_JSON = Text("结果写成一行 JSON", "the outcome as one line of JSON")
_BROKER = Text(
    "运行内置消息代理，直到被停止（只在本机）", "run the embedded broker until it is stopped (on this machine only)"
)
_DEMO = Text("在终端里现场演示一个小区", "a neighbourhood, live in the terminal")
_HELP = Text("显示本说明", "show this help")
_EXAMPLES = Text("例子：", "Examples:")
_SEEDS = Text("多少个种子（默认 100）", "how many seeds (default 100)")
_FIRST = Text("第一个种子（默认 1）", "the first seed (default 1)")
_SEED = Text("只重演这一个种子", "replay this seed alone")
_HOUSEHOLDS = Text("村子的户数，1–200（默认 20）", "households of the village, 1–200 (default 20)")
_DAYS = Text("每个种子的天数，1–60（默认 1）", "days of each seed, 1–60 (default 1)")
_JOBS = Text("同时运行的进程数（默认：全部处理器核）", "processes at once (default: all cores)")
_BUSY = Text(
    "每个种子都是最忙的几小时：按得多得多，故障同样多", "busy hours alone: far more presses, as many faults for each"
)
_RELAYS = Text("每个村子都有这么多台中继，1–5（默认：抽签决定）", "relays of every village, 1–5 (default: drawn)")
_PRESSES = Text(
    "直到按了这么多次求助为止，不论多少个种子", "until there were so many presses for help, in however many seeds"
)
_KEEP = Text(
    "把每个种子的结果记在这个文件里；中断后从那里继续",
    "keep each seed's result in this file, and go on from there when run again",
)
_STEPS = Text("种子失败时显示的步数（默认 {default}）", "steps shown of a seed that fails (default {default})")
_JSON = Text("每次失败一行 JSON，最后再一行", "one JSON line per failure, and one at the end")
_PORT = Text("MQTT 端口（默认 1883）", "the MQTT port (default 1883)")
_DATA = Text("存放消息的目录", "the directory where it keeps its messages")
_NO_NUMBER = Text("{text} 不是整数", "{text} is no whole number")
_OUT_OF_LIMITS = Text("{number} 超出范围（{limit}）", "{number} is out of its limits ({limit})")

_STORM_EXAMPLES = """
  doorbell-sim storm
  doorbell-sim storm --seeds 2000 --jobs 4
  doorbell-sim storm --seed 17 --steps 200
  doorbell-sim storm --busy --presses 1000000 --keep million.jsonl
"""
_DAY_EXAMPLES = """
  doorbell-sim day --households 1000
"""
_BROKER_EXAMPLES = """
  doorbell-sim broker --port 18830 --data var/broker
"""
_ALL_EXAMPLES = (
    _STORM_EXAMPLES + _DAY_EXAMPLES.lstrip("\n") + _BROKER_EXAMPLES.lstrip("\n") + "  doorbell-sim demo --story\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code. A mistake of the person at the keyboard is 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["demo"]:
        return int(importlib.import_module("sim.demo").main(words[1:]))
    options = build_parser(choose_language(os.environ) or Language.ZH).parse_args(words)
    try:
        return {"broker": _broker, "storm": _storm, "day": _day}[options.command](options)
    except SetupError as error:
        print(f"doorbell-sim: {error}", file=sys.stderr)
        return 2


def _storm(options: argparse.Namespace) -> int:
    plan = StormPlan(options.households, options.days, options.busy, options.relays, options.steps)
    if options.seed is not None:
        return storm_command(StormOrder(options.seed, 1, as_json=options.json), plan)
    seeds = options.seeds if options.presses is None else None
    order = StormOrder(options.first, seeds, options.presses, options.jobs, options.keep, options.json)
    return storm_command(order, plan)


def _day(options: argparse.Namespace) -> int:
    return day_command(DayPlan(options.households, options.heartbeat, options.seed), as_json=options.json)


def _broker(options: argparse.Namespace) -> int:
    from doorbell.logs import configure_logs  # noqa: PLC0415 - the storm needs neither logs nor a broker
    from sim.broker import run_broker  # noqa: PLC0415

    configure_logs()
    return run_broker(options.port, options.data)


def build_parser(language: Language) -> argparse.ArgumentParser:
    """The command line of ``doorbell-sim``, its help in this language."""

    def make(parser: argparse.ArgumentParser, about: Text, examples: str) -> argparse.ArgumentParser:
        parser.description = about.say(language)
        parser.epilog = _EXAMPLES.say(language) + examples
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("-h", "--help", action="help", help=_HELP.say(language))
        return parser

    def number(low: int, high: int | None = None) -> _Number:
        return _Number(low, high, language)

    parser = make(argparse.ArgumentParser(prog="doorbell-sim", add_help=False), _ABOUT, _ALL_EXAMPLES)
    commands = parser.add_subparsers(dest="command", required=True, metavar="storm | day | broker | demo")

    made = commands.add_parser("storm", add_help=False, help=_STORM.say(language))
    storm = make(made, _STORM, _STORM_EXAMPLES)
    storm.add_argument("--seeds", type=number(1), default=100, metavar="N", help=_SEEDS.say(language))
    storm.add_argument("--first", type=number(0), default=1, metavar="SEED", help=_FIRST.say(language))
    storm.add_argument("--seed", type=number(0), metavar="SEED", help=_SEED.say(language))
    storm.add_argument("--households", type=number(1, 200), default=20, metavar="N", help=_HOUSEHOLDS.say(language))
    storm.add_argument("--days", type=number(1, 60), default=1, metavar="N", help=_DAYS.say(language))
    storm.add_argument("--busy", action="store_true", help=_BUSY.say(language))
    storm.add_argument("--relays", type=number(1, 5), metavar="N", help=_RELAYS.say(language))
    storm.add_argument("--presses", type=number(1), metavar="N", help=_PRESSES.say(language))
    storm.add_argument("--keep", type=Path, metavar="FILE", help=_KEEP.say(language))
    cores = os.cpu_count() or 1
    storm.add_argument("--jobs", type=number(1, 256), default=cores, metavar="N", help=_JOBS.say(language))
    steps = _STEPS.say(language, default=TRAIL_LENGTH)
    storm.add_argument("--steps", type=number(1), default=TRAIL_LENGTH, metavar="N", help=steps)
    storm.add_argument("--json", action="store_true", help=_JSON.say(language))

    made = commands.add_parser("day", add_help=False, help=_DAY.say(language))
    day = make(made, _DAY, _DAY_EXAMPLES)
    day.add_argument("--households", type=number(1, 20_000), default=1_000, metavar="N", help=_ALL_HOMES.say(language))
    day.add_argument("--heartbeat", type=number(1, 86_400), default=HEARTBEAT_S, metavar="S", help=_BEAT.say(language))
    day.add_argument("--seed", type=number(0), default=1, metavar="SEED", help=_DAY_SEED.say(language))
    day.add_argument("--json", action="store_true", help=_DAY_JSON.say(language))

    made = commands.add_parser("broker", add_help=False, help=_BROKER.say(language))
    broker = make(made, _BROKER, _BROKER_EXAMPLES)
    broker.add_argument("--port", type=number(1, 65_535), default=1883, metavar="PORT", help=_PORT.say(language))
    broker.add_argument("--data", type=Path, required=True, metavar="DIR", help=_DATA.say(language))

    # Its own parser is in sim.demo, whose many imports the other two can do without.
    commands.add_parser("demo", help=_DEMO.say(language), add_help=False)
    return parser


class _Number:
    def __init__(self, low: int, high: int | None, language: Language) -> None:
        self._low, self._high, self._language = low, high, language

    def __call__(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(_NO_NUMBER.say(self._language, text=text)) from None
        if number < self._low or (self._high is not None and number > self._high):
            limit = f">= {self._low}" if self._high is None else f"{self._low}–{self._high}"
            raise argparse.ArgumentTypeError(_OUT_OF_LIMITS.say(self._language, number=number, limit=limit))
        return number


if __name__ == "__main__":
    sys.exit(main())
