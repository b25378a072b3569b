"""The demo played by a person: a screen that lives, and keys that are fingers on buttons."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.live import Live

from relay.core.alarm import NoteType
from relay.texts import Language
from sim.demo_alarms import alarms_from
from sim.demo_cast import ELDERS, NEIGHBOURS, name_of
from sim.demo_neighbourhood import Neighbourhood
from sim.demo_plot import Gesture
from sim.demo_screen import ANSWER_KEYS, DECLINE_KEYS, HOLD_KEYS, OK_KEYS, PRESS_KEYS, Picture, draw
from sim.demo_sightings import JournalLine, OfficeMessage, Remark, Sighting

FRAME_S = 0.1
RESTART_S = 3.0
"""A killed relay comes back after this, as a service manager would bring it back."""
_UNTOLD = {NoteType.SILENT, NoteType.WAITING}
"""Lines that would only make the timeline longer: a bell that fell silent is seen in its house."""


def gesture_for(key: str) -> Gesture | None:
    """What a key means: whose button, and how long."""
    for keys, button, hold in (
        (PRESS_KEYS, "help", False),
        (OK_KEYS, "ok", False),
        (ANSWER_KEYS, "answer", False),
        (HOLD_KEYS, "answer", True),
        (DECLINE_KEYS, "decline", False),
    ):
        place = keys.find(key)
        if place >= 0:
            device = ELDERS[place].panel if button in ("help", "ok") else NEIGHBOURS[place].bell
            return Gesture(device, button, hold)
    return None


Pressed = Callable[[float], str]
"""Waits so many seconds for keys and gives those that were pressed."""


class LiveDemo:
    """Plays until ``q``."""

    def __init__(self, home: Neighbourhood, language: Language, speed: float) -> None:
        self._home = home
        self._language = language
        self._speed = speed
        self._show_help = False
        self._restart_at_s: float | None = None
        self._told_trouble: str | None = None

    def play(self) -> None:
        """Draw and listen until the person has had enough. The terminal is afterwards as it was."""
        console = Console()
        self._home.watch_lamps()
        with Live(console=console, screen=True, auto_refresh=False) as live, keys() as pressed:
            while True:
                live.update(draw(self._picture(), self._language, *console.size), refresh=True)
                for key in pressed(FRAME_S):
                    if key in ("q", "\x03", "\x04"):
                        return
                    self._press(key)
                self._look_after_relay()

    def _press(self, key: str) -> None:
        gesture = gesture_for(key)
        if gesture is not None:
            threading.Thread(target=self._gesture, args=(gesture,), daemon=True).start()
            return
        match key:
            case "?" | "h":
                self._show_help = not self._show_help
            case "k" if self._home.relay_up:
                self._home.kill_relay()
                self._home.remark(
                    f"kill -9 中继，{RESTART_S:.0f} 秒后重启", f"kill -9 relay, back in {RESTART_S:.0f} s"
                )
                self._restart_at_s = time.monotonic() + RESTART_S
            case "r" if self._home.relay_up:
                self._home.stop_relay()
                self._home.remark("中继已关，再按 r 启动", "relay switched off, r starts it")
            case "r" | "k":
                self._start_relay()
            case "\x1b" | " ":
                self._show_help = False
            case _:
                pass

    def _gesture(self, gesture: Gesture) -> None:
        try:
            self._home.gesture(gesture)
        except OSError as error:
            self._home.remark(
                f"按不到{name_of(gesture.device, Language.ZH)}：{error}",
                f"{name_of(gesture.device, Language.EN)} cannot be reached: {error}",
            )

    def _look_after_relay(self) -> None:
        if self._restart_at_s is not None and time.monotonic() >= self._restart_at_s:
            self._start_relay()
        trouble = self._home.trouble()
        if trouble != self._told_trouble and trouble is not None:
            first = trouble.splitlines()[0]
            self._home.remark(f"出了问题：{first}", f"trouble: {first}")
        self._told_trouble = trouble

    def _start_relay(self) -> None:
        self._restart_at_s = None
        self._home.start_relay()
        self._home.remark("中继又启动了", "relay started again")

    def _picture(self) -> Picture:
        now_s = self._home.monotonic()
        sightings = self._home.chronicle.since()
        return Picture(
            devices=self._home.chronicle.devices(),
            alarms=alarms_from(sightings, self._home.policy, now_s),
            lines=[told for sighting in sightings if (told := _told(sighting, now_s)) is not None],
            messages=[sighting.what for sighting in sightings if isinstance(sighting.what, OfficeMessage)],
            policy=self._home.policy,
            speed=self._speed,
            relay_up=self._home.relay_up,
            now_s=now_s,
            show_help=self._show_help,
        )


def _told(sighting: Sighting, now_s: float) -> tuple[datetime, JournalLine | Remark] | None:
    match sighting.what:
        case JournalLine() as line if line.type not in _UNTOLD:
            return line.at, line
        case Remark() as remark:
            return datetime.now(UTC) - timedelta(seconds=now_s - sighting.at_s), remark
        case _:
            return None


@contextmanager
def keys() -> Iterator[Pressed]:
    """The terminal gives single keys, unseen, until the block is left; then it is as it was."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed while everything started presses nothing
        yield lambda wait_s: _read_keys(terminal, wait_s)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_keys(terminal: int, wait_s: float) -> str:
    ready, _, _ = select.select([terminal], [], [], wait_s)
    if not ready:
        return ""
    typed = os.read(terminal, 64).decode("utf-8", "replace")
    if not typed:
        return "q"  # the terminal has gone
    return "" if typed.startswith("\x1b[") else typed  # an arrow or function key means nothing here
