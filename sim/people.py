"""The people of a village: elders who press, volunteers who come, or do not, or forget to say so.

They touch nothing but buttons, and know nothing but what lights, chimes and voices say. ``behave`` turns them into
people who always answer: with them a healed village must come to rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from device.core.bell import BellState
from device.core.role import ButtonName, Role
from device.core.signals import Light
from doorbell.wire import Stage
from sim.device_machine import DeviceMachine
from sim.village import Village

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SAFE_HOLD_MS = 3_300
LOOKS_AGAIN_MS = 60_000
"""After this a helper looks at the bell once more: has what was said been heard?"""


@dataclass(frozen=True, slots=True)
class Habits:
    """How likely the people of this village do what, in per cent."""

    answers: int = 55
    declines: int = 12
    hands_back: int = 8
    arrives: int = 85
    says_arrived: int = 75
    says_done: int = 80
    presses_at_nothing: int = 3
    alarms: int = 9
    """Emergencies of the day."""
    impatient: int = 0
    """Emergencies, beside those that are so anyway, in which somebody presses again and again."""
    impatience: int = 4
    """How often at the most."""
    slowness: int = 60
    """How many times longer the slowest answer takes than the quickest."""


PERFECT = Habits(100, 0, 0, 100, 100, 100, 0, 0)


def draw_habits(chance: Random, alarms: int) -> Habits:
    """People of one village: quick or slow to answer, orderly or not, patient or not."""
    answers = chance.randint(25, 90)
    return Habits(
        answers=answers,
        declines=chance.randint(0, min(30, 100 - answers)),
        hands_back=chance.randint(0, 20),
        arrives=chance.randint(60, 100),
        says_arrived=chance.randint(30, 100),
        says_done=chance.randint(50, 100),
        presses_at_nothing=chance.randint(0, 6),
        alarms=alarms,
        impatient=60,
        impatience=chance.choice((8, 16, 24)),
        slowness=chance.choice((6, 20, 60)),
    )


class People:
    """All elders and volunteers."""

    def __init__(self, village: Village, habits: Habits) -> None:
        self.village = village
        self.habits = habits
        self._chance: Random = village.chance("people")
        self._schedule = village.schedule
        self._thinking: set[str] = set()
        """Bells in front of which somebody is making up their mind."""
        self._going: set[str] = set()
        """Bells whose owner is on the way or there."""
        village.ears = self

    # --- elders -----------------------------------------------------------------------------------------------------

    def plan_day(self, day: int) -> list[tuple[int, str]]:
        """Put a day's presses into the schedule; returns when and in which household the emergencies are."""
        chance = self._chance
        homes = sorted(self.village.register.households)
        begin_ms = day * 24 * HOUR_MS
        for home in homes:
            if chance.random() < 0.85:
                self._schedule.at(
                    begin_ms + chance.randint(6, 10) * HOUR_MS + chance.randint(0, HOUR_MS), self._ok, home
                )
        return self._plan_emergencies(begin_ms + HOUR_MS // 2, begin_ms + 23 * HOUR_MS)

    def plan_hours(self, length_ms: int) -> list[tuple[int, str]]:
        """The same for some hours from now on, in which everything happens that else happens in a day."""
        begin_ms, chance = self._schedule.now_ms, self._chance
        for home in sorted(self.village.register.households):
            if chance.random() < 0.85:
                self._schedule.at(begin_ms + chance.randint(0, length_ms), self._ok, home)
        return self._plan_emergencies(begin_ms + length_ms // 50, begin_ms + length_ms * 24 // 25)

    def _plan_emergencies(self, first_ms: int, last_ms: int) -> list[tuple[int, str]]:
        chance, homes = self._chance, sorted(self.village.register.households)
        emergencies = []
        for _ in range(self.habits.alarms):
            at_ms, home = chance.randint(first_ms, last_ms), chance.choice(homes)
            emergencies.append((at_ms, home))
            self._emergency(at_ms, home)
        return emergencies

    def _emergency(self, at_ms: int, home: str) -> None:
        chance, at = self._chance, self._schedule.at
        at(at_ms, self._help, home)
        kind = chance.randint(0, 9)
        if self.habits.impatient and chance.randint(0, 99) < self.habits.impatient:
            kind = 0
        match kind:
            case 0 | 1:  # again and again, without patience
                for gap_ms in chance.sample(range(2_000, 90_000), chance.randint(1, self.habits.impatience)):
                    at(at_ms + gap_ms, self._help, home)
            case 2:  # three times quickly
                at(at_ms + chance.randint(1_000, 15_000), self._help, home)
                at(at_ms + chance.randint(16_000, 40_000), self._help, home)
            case 3 | 4:  # a mistake
                at(at_ms + chance.randint(800, 60_000), self._ok, home)
            case 5:  # a mistake, and then it is none
                ok_ms = chance.randint(800, 20_000)
                at(at_ms + ok_ms, self._ok, home)
                at(at_ms + ok_ms + chance.randint(1_000, 30_000), self._help, home)
            case 6:  # the daily sign of life, and then a fall
                at(at_ms - chance.randint(1_000, 20_000), self._ok, home)
            case 7:  # later it is worse
                at(at_ms + chance.randint(120_000, 2_400_000), self._help, home)
            case _:
                pass

    def _help(self, home: str) -> None:
        chance = self._chance
        ms = chance.choices((chance.randint(60, 500), 4_000, 70_000), (90, 8, 2))[0]
        self.village.press(self._panel(home), ButtonName.HELP, ms, bounces=chance.random() < 0.3)

    def _panel(self, home: str) -> str:
        """The panel within reach."""
        return self._chance.choice(self.village.register.panels_of[home])

    def _ok(self, home: str) -> None:
        self.village.press(
            self._panel(home), ButtonName.OK, self._chance.randint(60, 500), bounces=self._chance.random() < 0.3
        )

    # --- volunteers -------------------------------------------------------------------------------------------------

    def behave(self) -> None:
        """From now on everybody always answers; whoever still has something to finish is reminded."""
        self.habits = PERFECT
        self._thinking.clear()
        self._going.clear()
        for machine in self.village.devices.values():
            if machine.role is Role.BELL:
                self._schedule.after(self._chance.randint(1_000, 60_000), self._look_at_bell, machine)

    def _look_at_bell(self, machine: DeviceMachine) -> None:
        """Look whether it rings or calls something mine, as a person who has promised to behave does."""
        runtime = machine.runtime
        if runtime is None:
            return
        self._hear_again(machine)
        if runtime.state.light is Light.MINE:
            self._go(machine)

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:  # noqa: ARG002 - as in Ears
        """A bell begins to ring: somebody makes up their mind."""
        if sounds:
            self._hear(machine)

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        """A bell says: it is yours."""
        if light is Light.MINE:
            self._go(machine)

    def _hear(self, machine: DeviceMachine) -> None:
        if machine.name in self._thinking:
            return
        self._thinking.add(machine.name)
        chance, habits = self._chance, self.habits
        patience_ms = (
            chance.randint(2_000, 25_000) if habits is PERFECT else int(2_000 * habits.slowness ** chance.random())
        )
        luck = chance.randint(0, 99)
        if luck < habits.answers:
            self._schedule.after(patience_ms, self._answer, machine, ButtonName.ANSWER)
        elif luck < habits.answers + habits.declines:
            self._schedule.after(patience_ms, self._answer, machine, ButtonName.DECLINE)
        else:
            self._schedule.after(chance.randint(60_000, 600_000), self._thinking.discard, machine.name)
        if chance.randint(0, 99) < habits.presses_at_nothing:
            self._schedule.after(chance.randint(60_000, HOUR_MS), self._answer, machine, ButtonName.ANSWER)

    def _answer(self, machine: DeviceMachine, button: ButtonName) -> None:
        self._thinking.discard(machine.name)
        ms = SAFE_HOLD_MS if self._chance.random() < 0.05 else self._chance.randint(60, 600)
        self.village.press(machine.name, button, ms, bounces=self._chance.random() < 0.3)
        self._schedule.after(LOOKS_AGAIN_MS, self._hear_again, machine)

    def _hear_again(self, machine: DeviceMachine) -> None:
        if machine.speaker.running:
            self._hear(machine)

    def _go(self, machine: DeviceMachine) -> None:
        """Go, or do not."""
        if machine.name in self._going:
            return
        home = self._mine(machine)
        if home is None:
            return
        chance, habits = self._chance, self.habits
        if chance.randint(0, 99) < habits.hands_back:
            self._schedule.after(chance.randint(5_000, 200_000), self._answer, machine, ButtonName.DECLINE)
            return
        if chance.randint(0, 99) >= habits.arrives:
            return
        self._going.add(machine.name)
        travel_ms = chance.randint(30_000, 90_000) if habits is PERFECT else chance.randint(40_000, 900_000)
        if chance.randint(0, 99) < habits.says_arrived:
            self._schedule.after(travel_ms, self._arrive, home)
        stay_ms = chance.randint(60_000, 300_000) if habits is PERFECT else chance.randint(120_000, 2_400_000)
        self._schedule.after(travel_ms + stay_ms, self._come_home, machine)

    def _mine(self, machine: DeviceMachine) -> str | None:
        """The household that this bell's light speaks of: read from what it shows."""
        state = machine.runtime.state.role if machine.runtime is not None else None
        if not isinstance(state, BellState):
            return None
        sources = (r.from_ for r in state.rings if r.mine and r.stage in (Stage.ACCEPTED, Stage.ARRIVED))
        panel = next(sources, None)
        return None if panel is None else self.village.register.devices[panel].household

    def _arrive(self, home: str) -> None:
        """At the door of the household: the helper presses the green button, if the panel says that one is coming."""
        runtime = self.village.devices[self._panel(home)].runtime
        if runtime is not None and runtime.state.light is Light.COMING:
            self._ok(home)

    def _come_home(self, machine: DeviceMachine) -> None:
        self._going.discard(machine.name)
        if self._chance.randint(0, 99) >= self.habits.says_done:
            return
        self.village.press(machine.name, ButtonName.ANSWER, SAFE_HOLD_MS)
        if self.habits is PERFECT:
            self._schedule.after(LOOKS_AGAIN_MS, self._look_at_bell, machine)
