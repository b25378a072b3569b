"""What goes wrong in a village, drawn from a seed. Every seed has its own kinds of trouble; half of it strikes when
it hurts most, around an emergency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from doorbell.wire import Channel, Topics
from relay.ports import NoticeDelivered
from sim.device_machine import DeviceMachine
from sim.network import FAIR, Weather
from sim.people import DAY_MS, HOUR_MS
from sim.relay_machine import RelayMachine
from sim.village import Village
from sim.world import edited

FAULTS_A_DAY = 30
FAVOURED = 0.33
STRIKES = 3
"""Faults around one emergency."""
_FAR_MS = 6 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Trouble:
    """The kinds of trouble of one seed."""

    kinds: tuple[str, ...]
    weather: Weather
    knows_boot: bool
    favourite: str | None
    """The kind that a third of all strikes are: one alone, again and again, finds what a mixture does not."""


def draw_trouble(chance: Random, *, several: bool = False) -> Trouble:
    """A seed has some kinds of trouble and not others, so that one does not hide another; a few have fair weather."""
    kinds = tuple(kind for kind in sorted(_KINDS) if chance.random() < 0.5)
    knows_boot = chance.random() < 0.85
    if several:
        # Deadlines are wall-clock times that the relays share: their clocks have to agree (docs/several-relays.md).
        kinds = tuple(kind for kind in kinds if kind != "relay_clock")
    if not knows_boot:
        # Without a name for the boot nobody can tell a set clock from a long stop: the machine's own fault.
        kinds = tuple(kind for kind in kinds if kind != "relay_clock")
    favourite = chance.choice(kinds) if kinds else None
    if chance.random() < 0.15:
        return Trouble(kinds, FAIR, knows_boot, favourite)
    rough = chance.random() ** 2
    weather = Weather(
        loss=chance.choice((0.0, 0.0, 0.02, 0.05)) * rough,
        repeat=chance.choice((0.0, 0.05, 0.2)) * rough,
        overtake=chance.choice((0.0, 0.1, 0.5)) * rough,
        slow=chance.choice((0.0, 0.02, 0.1)) * rough,
        slow_ms=chance.choice((1_000, 8_000, 60_000)),
        max_ms=chance.choice((10, 60, 400)),
    )
    return Trouble(kinds, weather, knows_boot, favourite)


class Faults:
    """Brings trouble over a village, and takes all of it away again with ``heal``."""

    def __init__(self, village: Village, trouble: Trouble) -> None:
        self.village = village
        self.trouble = trouble
        self.struck = 0
        self._chance = village.chance("faults")
        self._healed = False
        self._schedule = village.schedule
        self._stepped_ms = -HOUR_MS
        self._cuts: list[str] = []
        village.broker.weather = trouble.weather
        for relay in village.relays:
            relay.knows_boot = trouble.knows_boot
            relay.restart_ms = lambda: self._chance.randint(300, 30_000)
        for machine in village.devices.values():
            machine.restart_ms = lambda: self._chance.randint(500, 30_000)

    def plan(self, begin_ms: int, length_ms: int, emergencies: Sequence[tuple[int, str]]) -> None:
        """Put the trouble of a length of time into the schedule."""
        if not self.trouble.kinds:
            return
        chance = self._chance
        for _ in range(max(1, FAULTS_A_DAY // 2 * length_ms // DAY_MS)):
            self._schedule.at(begin_ms + chance.randint(0, length_ms - 1), self._strike, None)
        for at_ms, home in emergencies:
            for _ in range(chance.randint(0, STRIKES)):
                after_ms = int(120_000 ** chance.random()) * chance.choice((1, 1, -1))
                self._schedule.at(at_ms + after_ms, self._strike, home)

    def heal(self) -> None:
        """Everything works from now on: lines, disks, speakers, hooks and clocks. Processes that are down come back."""
        self._healed = True
        village = self.village
        broker = village.broker
        broker.weather = FAIR
        if not broker.running:
            broker.start()
        for client in self._cuts:
            broker.mend(client)
        self._cuts.clear()
        for relay in village.relays:
            relay.heal()
        for machine in village.devices.values():
            machine.fuse.left = None
            machine.disk.failing = False
            machine.set_clock(0)
            if machine.speaker.broken:
                machine.speaker.repair()

    def _strike(self, home: str | None) -> None:
        if self._healed:
            return
        kind = self._chance.choice(self.trouble.kinds)
        if self.trouble.favourite is not None and self._chance.random() < FAVOURED:
            kind = self.trouble.favourite
        self.struck += 1
        self.village.counts[f"fault.{kind}"] += 1
        self.village.trail.note("fault", kind, home or "")
        _KINDS[kind](self, self._machine(home))

    def _relay(self) -> RelayMachine:
        """Some relay."""
        relays = self.village.relays
        return relays[0] if len(relays) == 1 else self._chance.choice(relays)

    def _machine(self, home: str | None) -> DeviceMachine:
        """Some device; around an emergency the panel or a bell of the household."""
        village, chance = self.village, self._chance
        if home is None:
            return village.devices[chance.choice(list(village.devices))]
        bells = village.register.volunteer_bells(home)
        return village.devices[chance.choice((*village.register.panels_of[home], *bells))]

    def _span_ms(self, low: int, high: int) -> int:
        """A length of time: short ones are as likely as long ones."""
        return int(low * (high / low) ** self._chance.random())

    def _later(self, wait_ms: int, action: Callable[[], None]) -> None:
        """Take a fault away after a time, unless everything was healed before."""
        self._schedule.after(wait_ms, self._unless_healed, action)

    def _unless_healed(self, action: Callable[[], None]) -> None:
        if not self._healed:
            action()

    # --- lines and broker -------------------------------------------------------------------------------------------

    def device_drop(self, machine: DeviceMachine) -> None:
        """A connection is reset."""
        self.village.broker.drop(machine.name)

    def relay_drop(self, _machine: DeviceMachine) -> None:
        """A relay's connection is reset."""
        self.village.broker.drop(self._relay().name)

    def device_cut(self, machine: DeviceMachine) -> None:
        """The line of a device is cut for a second to an hour."""
        self._cut(machine.name, self._span_ms(1_000, HOUR_MS))

    def relay_cut(self, _machine: DeviceMachine) -> None:
        """A relay's line is cut for a second to ten minutes."""
        self._cut(self._relay().name, self._span_ms(1_000, 600_000))

    def _cut(self, client: str, length_ms: int) -> None:
        self._cuts.append(client)
        self.village.broker.cut(client, self._chance.randint(3_000, 60_000), self._chance.randint(10_000, 90_000))
        self._later(length_ms, lambda: self._mend(client))

    def _mend(self, client: str) -> None:
        self._cuts.remove(client)
        self.village.broker.mend(client)

    def broker_restart(self, _machine: DeviceMachine) -> None:
        """The broker stops for up to two minutes and forgets little, or the relay's session, or everything."""
        broker = self.village.broker
        if not broker.running:
            return
        broker.stop(
            session=self._chance.choice(("kept", "lost")), retained=self._chance.choice(("kept", "lost", "saved"))
        )
        self._later(self._span_ms(300, 120_000), broker.start)

    def broker_autosave(self, _machine: DeviceMachine) -> None:
        """No fault, but what a crash later goes back to."""
        self.village.broker.autosave()

    def rubbish(self, machine: DeviceMachine) -> None:
        """A broken program says something that nobody can use, to the relay or to a device; some of it is retained."""
        chance, topics = self._chance, Topics()
        device = chance.choice((machine.name, machine.name, "no-such-device"))
        channel = chance.choice((Channel.EVENT, Channel.REPORTED, Channel.ONLINE, Channel.DESIRED))
        self.village.broker.inject(
            topics.of(machine.community, device, channel),
            chance.choice((b"", b"{", b"null", b'{"rev": -1}', b'{"id": 1, "type": "party"}', b"\xff" * 9_000)),
            retain=channel is not Channel.EVENT,
        )

    # --- devices ----------------------------------------------------------------------------------------------------

    def device_death(self, machine: DeviceMachine) -> None:
        """A process dies, at once or at one of its next calls to the outside."""
        if machine.runtime is None:
            return
        if self._chance.random() < 0.2:
            machine.die(machine.restart_ms())
        else:
            machine.fuse.light(self._chance.randint(0, 14))

    def device_power(self, machine: DeviceMachine) -> None:
        """The power goes; the machine boots without a clock."""
        if machine.runtime is not None:
            machine.die(
                self._chance.randint(15_000, 300_000), power=True, synced_after_ms=self._span_ms(5_000, HOUR_MS)
            )

    def device_clock(self, machine: DeviceMachine) -> None:
        """The wall clock is lost, or is wrong by up to six hours and says that it is right."""
        if self._chance.random() < 0.4:
            machine.unsync(self._schedule.now_ms + self._span_ms(10_000, 4 * HOUR_MS))
            return
        machine.set_clock(self._chance.randint(-_FAR_MS, _FAR_MS))
        self._later(self._span_ms(60_000, 4 * HOUR_MS), lambda: machine.set_clock(0))

    def device_disk(self, machine: DeviceMachine) -> None:
        """The disk refuses for up to five minutes."""
        machine.disk.failing = True

        def works() -> None:
            machine.disk.failing = False

        self._later(self._span_ms(1_000, 300_000), works)

    def bell_silent(self, machine: DeviceMachine) -> None:
        """The speaker does not play for up to two hours."""
        if not machine.speaker.broken:
            machine.speaker.break_down()
            self._later(self._span_ms(5_000, 2 * HOUR_MS), machine.speaker.repair)

    # --- the relay --------------------------------------------------------------------------------------------------

    def relay_death(self, _machine: DeviceMachine) -> None:
        """A relay's process dies, mostly in the middle of a turn."""
        relay = self._relay()
        if relay.runtime is None:
            return
        if self._chance.random() < 0.2:
            relay.die(relay.restart_ms())
        else:
            relay.fuse.light(self._chance.randint(0, 10))

    def relay_reboot(self, _machine: DeviceMachine) -> None:
        """The relay's machine restarts: its own clock begins anew, its wall clock goes on."""
        relay = self._relay()
        serving_ms = self._schedule.now_ms - (relay.serving_since_ms or self._schedule.now_ms)
        # A clock set and not noticed before the boot ends cannot be told from a long stop.
        if serving_ms > 5_000 and self._schedule.now_ms - self._stepped_ms > 5_000:
            relay.die(self._span_ms(10_000, 40 * 60_000), machine=True)

    def relay_clock(self, _machine: DeviceMachine) -> None:
        """Somebody sets the relay's wall clock, by a second or by hours; or sets it right again."""
        relay = self.village.relay
        if relay.booting:
            return
        if relay.wall_error_ms and self._chance.random() < 0.5:
            delta_ms = -relay.wall_error_ms
        else:
            delta_ms = self._chance.choice((-1, 1)) * self._span_ms(1_000, _FAR_MS)
        self._stepped_ms = self._schedule.now_ms
        relay.step_wall(delta_ms)

    def relay_stop(self, _machine: DeviceMachine) -> None:
        """A relay's process is stopped (SIGSTOP) for a second to two minutes, mostly in the middle of a turn."""
        relay = self._relay()
        if relay.runtime is not None and not relay.stopped:
            length_ms = self._span_ms(1_000, 120_000)
            relay.fuse.light(self._chance.randint(0, 10), lambda: relay.stop(length_ms))

    def relay_cut_from_database(self, _machine: DeviceMachine) -> None:
        """A relay cannot reach the database, or not write to it, for a second to two minutes."""
        relay = self._relay()
        if relay.store.works:
            read_only = self._chance.random() < 0.4
            relay.cut_off(away=not read_only, read_only=read_only)
            self._later(self._span_ms(1_000, 120_000), relay.cut_off)

    def relay_commit_in_doubt(self, _machine: DeviceMachine) -> None:
        """A few commits are written, and the relay does not hear so."""
        self._relay().store.lose_answers += self._chance.randint(1, 3)

    def relay_slow_commits(self, _machine: DeviceMachine) -> None:
        """The database takes its time for every commit, up to a minute long: a worn card, a lock, a network."""
        store = self._relay().store
        store.slow_ms = self._span_ms(20, 10_000)

        def fast() -> None:
            store.slow_ms = 0

        self._later(self._span_ms(1_000, 60_000), fast)

    def relay_database(self, _machine: DeviceMachine) -> None:
        """The database refuses a few commits or reads."""
        store = self._relay().store
        if self._chance.random() < 0.7:
            store.fail_commits += self._chance.randint(1, 6)
        else:
            store.fail_reads += self._chance.randint(1, 3)

    def hooks(self, _machine: DeviceMachine) -> None:
        """Hooks cannot be told for up to twenty minutes."""
        refused = NoticeDelivered("", ok=False, retryable=self._chance.random() < 0.7, detail="HTTP 503")
        relay = self._relay()
        relay.hooks_refuse = lambda: refused

        def works() -> None:
            relay.hooks_refuse = lambda: None

        self._later(self._span_ms(5_000, 1_200_000), works)

    def register_edit(self, _machine: DeviceMachine) -> None:
        """The office edits the register."""
        village = self.village
        village.register = edited(village.register, self._chance)
        village.store.replace_register(village.register)


_KINDS: dict[str, Callable[[Faults, DeviceMachine], None]] = {
    name: getattr(Faults, name)
    for name in (
        "device_drop",
        "relay_drop",
        "device_cut",
        "relay_cut",
        "broker_restart",
        "broker_autosave",
        "rubbish",
        "device_death",
        "device_power",
        "device_clock",
        "device_disk",
        "bell_silent",
        "relay_death",
        "relay_reboot",
        "relay_clock",
        "relay_database",
        "relay_stop",
        "relay_cut_from_database",
        "relay_commit_in_doubt",
        "relay_slow_commits",
        "hooks",
        "register_edit",
    )
}
