"""``doorbell-sim demo``: a small neighbourhood of real programs on this machine, for a newcomer, a test or a program.

Exit codes: 0 the person had enough, or every step of the story was seen; 1 a step was not; 2 it cannot start as asked;
130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from doorbell.errors import SetupError
from doorbell.logs import configure_logs
from doorbell.service import ExitCode, on_stop_signals
from relay.texts import Language, Text, choose_language, parse_language
from sim.demo_cast import MAX_SPEED, line_sentence
from sim.demo_live import LiveDemo
from sim.demo_neighbourhood import Neighbourhood
from sim.demo_story import NOT_REACHED, StepResult, Story, StoryResult, story_json

LIVE_SPEED = 3.0
"""15 s to answer at a bell: time to read what happens, and not to fall asleep."""
STORY_SPEED = 10.0
"""The whole story takes half a minute."""
NOT_SEEN = 1
PIPE_WIDTH = 120
"""Columns where no terminal says how wide it is: a timeline in a log need not be cut at 80."""

_PREFIX = "doorbell-demo-"
_MAX_TEMP = 60
"""Bytes of a directory in which sockets have room: their whole path may have 107 (unix(7))."""
_SHORT_TEMP = "/tmp"  # noqa: S108 - a fresh directory of our own is made in it
_ABOUT = Text(
    "本机上由真实程序组成的小区：在终端里现场演示，或按故事自动演一遍并检查。",
    "A small neighbourhood of real programs on this machine, live in the terminal, or as a story that checks itself.",
)
_HELP = Text("显示本说明", "show this help")
_EXAMPLES = Text("例子：", "Examples:")
_EXAMPLE_LINES = """
  doorbell-sim demo
  doorbell-sim demo --speed 1 --sound
  doorbell-sim demo --story --keep var/demo
  doorbell-sim demo --json --language en
"""
_STORY_OPTION = Text("自动演一遍故事并检查，不需要人", "play and check the story without a person")
_JSON_OPTION = Text("把故事的结果作为一个 JSON 对象输出到 stdout", "the story as one JSON object on stdout")
_SPEED_OPTION = Text(
    "把规则里的每次等待除以 N，1 到 {highest}（故事默认 {story}，现场默认 {live}）",
    "divide every wait of the policy by N, 1 to {highest} (story: {story}, else {live})",
)
_LANGUAGE_OPTION = Text("演示的语言；默认看终端，否则中文", "the demo's language; default: the terminal's, else zh-CN")
_KEEP_OPTION = Text("把数据库和日志留在这个空目录里", "keep databases and logs in this empty directory")
_PORT_OPTION = Text("消息代理的 MQTT 端口（默认：任一空闲端口）", "the broker's MQTT port (default: a free one)")
_SOUND_OPTION = Text("让门铃真的响（aplay）", "let the bells really sound (aplay)")
_NO_TERMINAL = Text(
    '没有终端，无法现场演示。请在终端里运行 make demo，或运行 make demo ARGS="--story"',
    'There is no terminal to play in. Run make demo in one, or: make demo ARGS="--story"',
)
_READY = Text("就绪", "ready")
_STARTING = Text("启动：{what}", "starting: {what}")
_STORY_OK = Text("故事里的每一步都在设备上看到了。", "Every step of the story was seen on the devices.")
_STORY_FAILED = Text("没有看到：{expected}\n{why}", "Not seen: {expected}\n{why}")
_KEPT = Text("日志和数据库在 {directory}", "Logs and databases are in {directory}")
_KEEP = Text("要看日志：加上 --keep 目录", "To see the logs add --keep DIRECTORY")
_INTERRUPTED = Text("已中断，全部停下", "interrupted, everything is stopped")
_PRESS_TO_RING = Text("从按铃到铃响：{ms} 毫秒", "from the press to the ring: {ms} ms")


def add_arguments(parser: argparse.ArgumentParser, language: Language = Language.ZH) -> None:
    """The options of ``doorbell-sim demo``, explained in this language."""
    speeds = _SPEED_OPTION.say(language, highest=f"{MAX_SPEED:g}", story=f"{STORY_SPEED:g}", live=f"{LIVE_SPEED:g}")
    parser.add_argument("--story", action="store_true", help=_STORY_OPTION.say(language))
    parser.add_argument("--json", action="store_true", help=_JSON_OPTION.say(language))
    parser.add_argument("--speed", type=_speed, metavar="N", help=speeds)
    parser.add_argument("--language", type=_language, metavar="zh-CN|en", help=_LANGUAGE_OPTION.say(language))
    parser.add_argument("--keep", type=Path, metavar="DIR", help=_KEEP_OPTION.say(language))
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help=_PORT_OPTION.say(language))
    parser.add_argument("--sound", action="store_true", help=_SOUND_OPTION.say(language))


def build_parser(language: Language) -> argparse.ArgumentParser:
    """The command line of ``doorbell-sim demo``, its help in this language."""
    parser = argparse.ArgumentParser(
        prog="doorbell-sim demo",
        description=_ABOUT.say(language),
        epilog=_EXAMPLES.say(language) + _EXAMPLE_LINES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help=_HELP.say(language))
    add_arguments(parser, language)
    return parser


def main(arguments: Sequence[str]) -> int:
    """``doorbell-sim demo ARGUMENTS``; returns the exit code."""
    return run_demo(build_parser(choose_language(os.environ) or Language.ZH).parse_args(arguments))


def run_demo(args: argparse.Namespace) -> int:
    """Run the demo as asked; returns the exit code. Main thread only."""
    language: Language = args.language or choose_language(os.environ) or Language.ZH
    story = args.story or args.json
    err = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not story and not (sys.stdin.isatty() and sys.stdout.isatty()):
        err.print(_NO_TERMINAL.say(language))
        return ExitCode.SETUP
    configure_logs("auto", "error")
    speed: float = args.speed or (STORY_SPEED if story else LIVE_SPEED)

    def tell(what: Text) -> None:
        err.print(_STARTING.say(language, what=what.say(language)), style="dim", soft_wrap=True)

    try:
        with _interruptible(), _directories(args.keep) as (scratch, run):
            with Neighbourhood(
                scratch, run, speed=speed, language=language, port=args.port, sound=args.sound, tell=tell
            ) as home:
                err.print(_READY.say(language), style="green")
                if story:
                    return _play_story(home, language, speed, as_json=args.json, err=err)
                with suppress(KeyboardInterrupt):  # Ctrl-C is a way to say: enough
                    LiveDemo(home, language, speed).play()
            return ExitCode.OK
    except SetupError as error:
        err.print(str(error), style="red", soft_wrap=True)
        err.print((_KEPT if args.keep else _KEEP).say(language, directory=args.keep), style="dim", soft_wrap=True)
        return ExitCode.SETUP
    except KeyboardInterrupt:
        err.print(_INTERRUPTED.say(language))
        return ExitCode.FORCED


def _play_story(home: Neighbourhood, language: Language, speed: float, *, as_json: bool, err: Console) -> int:
    out = Console(markup=False, emoji=False, highlight=False)
    if not out.is_terminal:
        out.width = PIPE_WIDTH
    steps_to = err if as_json else out

    def on_step(step: StepResult) -> None:
        mark, style = ("✓", "green") if step.ok else ("·", "dim") if step.why == NOT_REACHED else ("✗", "red")
        when = f"{step.seen_at_ms / 1000:+8.3f} s" if step.seen_at_ms is not None else " " * 10
        steps_to.print(f"{mark} {when}  {step.expected.say(language)}", style=style, soft_wrap=True)

    result = Story(home, language, on_step).play()
    failed = next((step for step in result.steps if not step.ok), None)
    if as_json:
        sys.stdout.write(
            json.dumps({**story_json(result, home.policy, language), "speed": speed}, ensure_ascii=False) + "\n"
        )
        sys.stdout.flush()
    else:
        out.print(_timeline(result))
        if result.press_to_ring_ms is not None:
            out.print(_PRESS_TO_RING.say(language, ms=result.press_to_ring_ms))
    if failed is not None:
        err.print(
            _STORY_FAILED.say(language, expected=failed.expected.say(language), why=failed.why),
            style="red",
            soft_wrap=True,
        )
        return NOT_SEEN
    err.print(_STORY_OK.say(language), style="green")
    return ExitCode.OK


def _timeline(result: StoryResult) -> Table:
    """The alarm's journal in both languages."""
    table = Table(title="中继的日志 · the relay's journal", title_justify="left")
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("中文")
    table.add_column("English")
    for line in result.journal:
        since = (line.at - result.journal[0].at) / timedelta(seconds=1)
        table.add_row(f"{since:.3f}", line_sentence(line, Language.ZH), line_sentence(line, Language.EN))
    return table


@contextmanager
def _directories(keep: Path | None) -> Iterator[tuple[Path, Path]]:
    """Where the files go, and a short path for sockets; what is not to be kept is removed in the end."""
    if keep is not None:
        keep = keep.absolute()
        try:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                raise SetupError(f"--keep {keep}: is not empty; name a new directory")
        except OSError as error:
            raise SetupError(f"--keep {keep}: {error.strerror}") from None
    with ExitStack() as stack:
        scratch = keep or Path(stack.enter_context(_temporary(tempfile.gettempdir())))
        short = tempfile.gettempdir() if len(tempfile.gettempdir().encode()) <= _MAX_TEMP else _SHORT_TEMP
        yield scratch, Path(stack.enter_context(_temporary(short)))


def _temporary(parent: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT raise ``KeyboardInterrupt`` once, so that everything is stopped; a second one ends at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def interrupt() -> None:
        raise KeyboardInterrupt

    on_stop_signals(interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _speed(text: str) -> float:
    speed = float(text)
    if not 1 <= speed <= MAX_SPEED:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {MAX_SPEED:g}")
    return speed


def _language(text: str) -> Language:
    language = parse_language(text)
    if language is None:
        raise argparse.ArgumentTypeError(f"{text}: zh-CN or en")
    return language
