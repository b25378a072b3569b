"""The demo's screen, drawn from what was seen: houses with their lights, the open alarm, the journal, the office."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich import box
from rich.align import Align
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text as Styled

from device.core.signals import Light
from relay.core.alarm import AlarmStage, NoteType
from relay.core.policy import Policy
from relay.texts import Language
from sim import demo_words as say
from sim.demo_alarms import AlarmView
from sim.demo_cast import ELDERS, NEIGHBOURS, call_name, line_sentence, name_of
from sim.demo_sightings import DeviceView, JournalLine, OfficeMessage, Remark

MIN_WIDTH, MIN_HEIGHT = 60, 20
PRESS_KEYS, OK_KEYS = "12", "oO"
ANSWER_KEYS, HOLD_KEYS, DECLINE_KEYS = "abc", "ABC", "xyz"
_BAR, _SHORT_BAR = 12, 4
"""Cells of a countdown's bar, and where two alarms share the width."""
_ROOMY = 100
"""From this width on there is room for the niceties."""
_LOUD = {NoteType.RAISED, NoteType.PRESSED_AGAIN, NoteType.STEP_DEAF, NoteType.NOT_ARRIVED, NoteType.STEP_REPEATED}
_GOOD = {NoteType.ACCEPTED, NoteType.ARRIVED, NoteType.CLOSED}


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn. ``now_s`` is the chronicle's clock; ``lines`` and ``messages`` are oldest first."""

    devices: Mapping[str, DeviceView]
    alarms: Sequence[AlarmView]
    lines: Sequence[tuple[datetime, JournalLine | Remark]]
    messages: Sequence[OfficeMessage]
    policy: Policy
    speed: float
    relay_up: bool
    now_s: float
    show_help: bool = False


def draw(picture: Picture, language: Language, width: int, height: int) -> RenderableType:
    """The whole screen for a terminal of this size."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Align.center(Styled(say.TOO_SMALL.say(language)), vertical="middle", height=height)
    screen = Layout()
    alarm_height = 8
    screen.split_column(
        Layout(_header(picture, language, width), size=1),
        Layout(_houses(picture, language, width), size=6),
        Layout(name="middle"),
        Layout(_footer(language), size=1),
    )
    if picture.show_help:
        screen["middle"].update(_help(language))
        return screen
    screen["middle"].split_column(
        Layout(_alarms(picture, language, alarm_height), size=alarm_height), Layout(name="below")
    )
    rows = height - 1 - 6 - alarm_height - 1 - 2
    screen["below"].split_row(
        Layout(_journal(picture, language, rows)), Layout(_office(picture, language, rows), size=max(26, width // 3))
    )
    return screen


def _header(picture: Picture, language: Language, width: int) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(justify="left", no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    left = Styled(f" {say.TITLE.say(language)} ", "bold white on red")
    if width >= _ROOMY:
        left = Styled.assemble(left, (f"  {say.SUBTITLE.say(language)}", "dim"))
    relay = ("● ", "green") if picture.relay_up else ("○ ", "bright_red")
    word = say.RELAY_UP if picture.relay_up else say.RELAY_DOWN
    right = Styled.assemble(relay, word.say(language))
    if picture.speed != 1:
        right.append(f"  {say.FASTER.say(language, speed=picture.speed)}", "dim")
    line.add_row(left, right)
    return line


# ---------------------------------------------------------------------------------------------------------------------
# Houses


def _houses(picture: Picture, language: Language, width: int) -> RenderableType:
    row = Table.grid(expand=True)
    padding = 1 if width >= _ROOMY else 0
    cards: list[RenderableType] = []
    for elder, press, ok in zip(ELDERS, PRESS_KEYS, OK_KEYS, strict=True):
        view = picture.devices.get(elder.panel)
        keys = _keys((press, say.HELP_CALL.say(language)), (ok, say.OK_KEY.say(language)))
        alarm = next((one for one in picture.alarms if one.household == elder.household), None)
        note = name_of(alarm.person, language) if alarm is not None and alarm.person is not None else ""
        shown = note if view is not None and view.light in (Light.COMING, Light.ARRIVED) else ""
        place = elder.place.say(language).rpartition(" ")[2]
        cards.append(_card(elder.name.say(language), place, view, Styled(shown, "bold"), keys, language, padding))
    for neighbour, answer, hold in zip(NEIGHBOURS, ANSWER_KEYS, HOLD_KEYS, strict=True):
        view = picture.devices.get(neighbour.bell)
        keys = _keys((answer, say.COMING_KEY.say(language)), (hold, say.DONE_KEY.say(language)))
        sound = _sound(view, picture.now_s, language)
        cards.append(
            _card(neighbour.name.say(language), neighbour.role.say(language), view, sound, keys, language, padding)
        )
    for _ in cards:
        row.add_column(ratio=1)
    row.add_row(*cards)
    return row


def _card(
    name: str,
    title: str,
    view: DeviceView | None,
    note: Styled,
    keys: Styled,
    language: Language,
    padding: int,
) -> Panel:
    look = say.LOOKS.get(view.light, say.UNSEEN) if view is not None else say.UNSEEN
    words = look.words
    if view is not None and view.light == Light.RINGING and view.device.startswith("bell-"):
        words = say.BELL_RINGS
    lit = view is not None and view.lit
    calm = look.colour == "green"
    lamp = Styled.assemble(
        ("● " if lit else "○ ", look.colour if lit else "dim"), (words.say(language), look.colour if not calm else "")
    )
    lines = (Styled(name, "bold"), lamp, note, keys)
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Panel(
        Group(*lines),
        title=Styled(title, "not bold"),
        title_align="left",
        box=box.ROUNDED,
        border_style="dim" if calm else look.colour,
        height=6,
        padding=(0, padding),
    )


def _sound(view: DeviceView | None, now_s: float, language: Language) -> Styled:
    """The chime as a person hears it: a ding, a dong, a pause."""
    if view is None or not view.sounding:
        return Styled("")
    words = say.DINGDONG.say(language)
    steps = len(words) + 3
    return Styled(words[: int(now_s * 6) % steps + 1], "bold bright_red")


def _keys(*keys: tuple[str, str]) -> Styled:
    line = Styled()
    for key, word in keys:
        line.append(" " if line else "")
        line.append(f"{key}", "bold cyan")
        line.append(f" {word}", "dim")
    return line


# ---------------------------------------------------------------------------------------------------------------------
# The alarm


def _alarms(picture: Picture, language: Language, height: int) -> RenderableType:
    if not picture.alarms:
        words = Group(
            Styled(say.QUIET.say(language), "bold green", justify="center"),
            Styled(""),
            Styled(say.QUIET_HINT.say(language), justify="center"),
        )
        return Panel(Align.center(words, vertical="middle"), box=box.ROUNDED, border_style="dim", height=height)
    row = Table.grid(expand=True)
    for _ in picture.alarms:
        row.add_column(ratio=1)
    row.add_row(*(_alarm(alarm, picture, language, height) for alarm in picture.alarms))
    return row


def _alarm(alarm: AlarmView, picture: Picture, language: Language, height: int) -> RenderableType:
    who = name_of(alarm.person or "", language)
    outcome = say.OUTCOME_WORDS.get(alarm.outcome)
    stage = say.STAGES[alarm.stage].say(
        language, who=who, outcome=outcome.say(language) if outcome is not None else alarm.outcome
    )
    colour = "bright_red" if alarm.stage is AlarmStage.RINGING else "bright_green"
    if alarm.stage is AlarmStage.CLOSED:
        colour = "cyan"
    title = Styled.assemble(
        (f" {name_of(alarm.household, language)} ", f"bold reverse {colour}"), "  ", (stage, f"bold {colour}")
    )
    if alarm.presses > 1:
        title.append(f"  {say.TIMES_PRESSED.say(language, presses=alarm.presses)}", "yellow")
    title.no_wrap, title.overflow = True, "ellipsis"
    steps = Table.grid(padding=(0, 1), expand=True)
    steps.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    steps.add_column(no_wrap=True, justify="right")
    for number, step in enumerate(picture.policy.steps, start=1):
        names = " + ".join(call_name(target, alarm.household, language) for target in step.targets)
        steps.add_row(*_step_row(alarm, number, names, step.wait_s, picture, language))
    body = Group(title, steps, _hint(alarm, picture, language))
    return Panel(body, box=box.ROUNDED, border_style=colour, height=height)


def _step_row(
    alarm: AlarmView, number: int, names: str, wait_s: int, picture: Picture, language: Language
) -> tuple[Styled, Styled]:
    if number < alarm.step or (number == alarm.step and alarm.stage is not AlarmStage.RINGING):
        return Styled.assemble(("✓ ", "green"), (f"{number} {names}", "dim")), Styled("")
    if number > alarm.step:
        shown = f"{wait_s} s" if alarm.stage is AlarmStage.RINGING else ""
        return Styled(f"  {number} {names}", "dim"), Styled(shown, "dim")
    again = f"  {say.AGAIN.say(language, rounds=alarm.rounds)}" if alarm.rounds else ""
    left = Styled.assemble(("▶ ", "bright_red"), (f"{number} {names}", "bold"), (again, "yellow"))
    return left, _countdown(alarm, wait_s, picture, language)


def _countdown(alarm: AlarmView, wait_s: int, picture: Picture, language: Language) -> Styled:
    colour = "bright_red" if alarm.stage is AlarmStage.RINGING else "bright_green"
    left_s = max(0.0, (alarm.until_s or picture.now_s) - picture.now_s)
    cells = _BAR if len(picture.alarms) == 1 else _SHORT_BAR
    full = round(cells * min(1.0, left_s / wait_s))
    left = say.SECONDS_LEFT.say(language, left=f"{left_s:.0f}")
    return Styled.assemble(("━" * full, colour), ("━" * (cells - full), "dim"), f" {left}")


def _hint(alarm: AlarmView, picture: Picture, language: Language) -> RenderableType:
    place = next((index for index, elder in enumerate(ELDERS) if elder.household == alarm.household), 0)
    bell = next((index for index, one in enumerate(NEIGHBOURS) if one.person == alarm.person), 0)
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    match alarm.stage:
        case AlarmStage.RINGING:
            line.add_row(_tip(say.RINGING_HINT.say(language)), "")
        case AlarmStage.ACCEPTED:
            left = _countdown(alarm, picture.policy.arrive_wait_s, picture, language)
            line.add_row(_tip(say.ACCEPTED_HINT.say(language, ok=OK_KEYS[place])), left)
        case AlarmStage.ARRIVED:
            line.add_row(_tip(say.ARRIVED_HINT.say(language, hold=HOLD_KEYS[bell])), "")
        case AlarmStage.CLOSED:
            line.add_row(_tip(say.CLOSED_HINT.say(language)), "")
    return line


def _tip(words: str) -> Styled:
    return Styled.assemble(("→ ", "cyan"), (words, "cyan"))


# ---------------------------------------------------------------------------------------------------------------------
# Journal, office, keys


def _journal(picture: Picture, language: Language, rows: int) -> RenderableType:
    lines = Table.grid(padding=(0, 1), expand=True)
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for at, line in picture.lines[-rows:]:
        clock = at.astimezone().strftime("%H:%M:%S")
        if isinstance(line, Remark):
            lines.add_row(clock, Styled(line.text.say(language), "magenta"))
        else:
            style = "bright_red" if line.type in _LOUD else "bright_green" if line.type in _GOOD else ""
            lines.add_row(clock, Styled(line_sentence(line, language), style))
    return Panel(lines, title=say.TIMELINE.say(language), title_align="left", box=box.ROUNDED, border_style="dim")


def _office(picture: Picture, language: Language, rows: int) -> RenderableType:
    if picture.messages:
        shown = [Styled(message.text, "yellow") for message in picture.messages[-max(1, rows // 3) :]]
    else:
        shown = [Styled(say.NO_MESSAGES.say(language), "dim")]
    return Panel(Group(*shown), title=say.OFFICE.say(language), title_align="left", box=box.ROUNDED, border_style="dim")


def _help(language: Language) -> RenderableType:
    keys = Table.grid(padding=(0, 2))
    keys.add_column(style="bold cyan", no_wrap=True)
    keys.add_column(overflow="ellipsis", no_wrap=True)
    for key, words in say.HELP_LINES:
        keys.add_row(key, words.say(language))
    foot = say.HELP_FOOT.say(language)
    return Panel(keys, title=say.HELP_TITLE.say(language), subtitle=foot, box=box.ROUNDED, border_style="cyan")


def _footer(language: Language) -> RenderableType:
    return _keys(*((key, f"{words.say(language)} ") for key, words in say.FOOTER))
