"""A village: the relay, its devices, the network between them and the people, on one virtual clock in one thread.

It is the composition root of the simulation. ``Village`` without people and faults is what the stories play in; the
storm adds both. Everything random comes from the seed, so a seed replays exactly.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from random import Random
from typing import Protocol

from device.core.effects import OutboxRow
from device.core.role import ButtonName, Role
from device.core.signals import Light, Words
from relay.core.register import DeviceRole, Hook, Register
from relay.ports import Batch, NoticeRow
from sim.device_checks import DeviceChecks
from sim.device_machine import DeviceMachine
from sim.network import RELAY, SimBroker
from sim.relay_checks import RelayChecks
from sim.relay_machine import RelayMachine
from sim.schedule import TRAIL_LENGTH, Schedule, Trail
from sim.stores import MemoryStore
from sim.truth import Truth

MAX_SPOKEN = 50
SHORTEST_PRESS_MS = 60
"""The shortest touch that the village's people make; a button has 40 ms to be seen."""


class Ears(Protocol):
    """Who hears and sees what devices do: the people of the village, or the teller of a story."""

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:
        """A chime really began or ended."""
        ...

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        """A light says something else."""
        ...


class _Nobody:
    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:
        pass

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        pass


class Village:
    """Everybody's machines, watched by the checks. ``ears`` are the people's."""

    def __init__(
        self,
        register: Register,
        seed: str,
        *,
        poll_ms: int,
        report_interval_s: int,
        trail: int = TRAIL_LENGTH,
        relays: int = 1,
    ) -> None:
        self.seed = seed
        self.register = register
        self.schedule = Schedule()
        self.trail = Trail(self.schedule, trail)
        self.truth = Truth()
        self.device_checks = DeviceChecks(self.schedule, self.truth)
        self.relay_checks = RelayChecks(self.schedule, self.truth, register)
        names = [RELAY] if relays == 1 else [f"{RELAY}-{number}" for number in range(1, relays + 1)]
        self.broker = SimBroker(self.schedule, self.chance("network"), self.trail, names)
        self.store = MemoryStore(register)
        """The database of all relays."""
        self.ears: Ears = _Nobody()
        self.spoken: dict[str, deque[Words]] = {}
        """The newest sentences that each device has spoken, oldest first."""
        self.channels: Counter[str] = Counter()
        """How much devices have published on each channel."""
        self.told: list[tuple[str, NoticeRow]] = []
        """Hooks that were told, oldest first."""
        self.counts: Counter[str] = Counter()
        self.relays = [
            RelayMachine(
                self.store,
                name=name,
                several=relays > 1,
                schedule=self.schedule,
                broker=self.broker,
                chance=self.chance(name),
                watcher=self,
                trail=self.trail,
                poll_ms=poll_ms,
            )
            for name in names
        ]
        if relays > 1:
            self.relay_checks.watch_leases(self.relays)
        self.devices = {
            device.id: DeviceMachine(
                device.id,
                device.community,
                Role.PANEL if device.role is DeviceRole.PANEL else Role.BELL,
                schedule=self.schedule,
                broker=self.broker,
                chance=self.chance(device.id),
                watcher=self,
                trail=self.trail,
                report_interval_s=report_interval_s,
            )
            for device in sorted(register.devices.values(), key=lambda device: device.id)
        }

    @property
    def relay(self) -> RelayMachine:
        """The relay, or the first of several."""
        return self.relays[0]

    def chance(self, name: str) -> Random:
        """A stream of chance of its own for each part, so that one more throw here changes nothing there."""
        return self.stream(self.seed, name)

    @staticmethod
    def stream(seed: str, name: str) -> Random:
        """The stream of chance of this name."""
        return Random(f"{seed}/{name}")

    def start(self) -> None:
        """Switch everything on."""
        for relay in self.relays:
            relay.start()
        for machine in self.devices.values():
            machine.start()

    def press(self, device: str, button: ButtonName, ms: int = 150, *, bounces: bool = False) -> None:
        """Somebody presses a button of a device for so long."""
        machine = self.devices[device]
        if machine.touched(button):
            return  # another hand is on it
        self.counts[f"finger.{button.value}"] += 1
        self.device_checks.finger(machine, button)
        machine.press(button, max(ms, SHORTEST_PRESS_MS), bounces=bounces)

    # --- what the machines tell -------------------------------------------------------------------------------------

    def outbox_committed(self, machine: DeviceMachine, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """A device's transaction is on its disk."""
        for row in keep:
            self.trail.note(machine.name, "keeps", row.type.value, row.id, row.alarm or "")
        for one in forget:
            self.trail.note(machine.name, "forgets", one)
        self.device_checks.outbox_committed(machine, keep, forget, self.store.events)

    def outbox_refused(self, machine: DeviceMachine, keep: Sequence[OutboxRow]) -> None:
        """A device's failing disk did not take these."""
        self.device_checks.outbox_refused(machine, keep)

    def device_published(self, machine: DeviceMachine, topic: str, payload: bytes) -> None:
        """Something leaves a device."""
        self.trail.note(machine.name, "publishes", topic.rpartition("/")[2], payload)
        if topic.endswith("/reported"):
            self.device_checks.reported(machine, payload)
        elif topic.endswith("/event"):
            self.device_checks.event_published(machine, payload)
        self.channels["peer" if "/peer/" in topic else topic.rpartition("/")[2]] += 1

    def peer_heard(self, machine: DeviceMachine, payload: bytes) -> None:
        """What another device says directly arrives."""
        self.device_checks.peer_heard(machine, payload)

    def device_turned(self, machine: DeviceMachine) -> None:
        """A device's turn is done."""
        self.device_checks.device_turned(machine)

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:
        """A chime began or ended."""
        self.ears.chime_changed(machine, alarm, sounds=sounds)

    def words_spoken(self, machine: DeviceMachine, words: Words) -> None:
        """A device speaks."""
        self.spoken.setdefault(machine.name, deque(maxlen=MAX_SPOKEN)).append(words)

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        """A light says something else."""
        self.ears.light_changed(machine, light)

    def relay_committed(self, machine: RelayMachine, batch: Batch) -> None:
        """The relay's turn is in its database."""
        for line in batch.journal:
            self.counts[f"journal.{line.type}"] += 1
            self.trail.note(machine.name, line.type, line.alarm or line.device or "", dict(line.data))
        self.relay_checks.relay_committed(machine, batch)

    def relay_published(self, machine: RelayMachine, topic: str, payload: bytes) -> None:
        """A desired state leaves the relay."""
        device = topic.split("/")[-2]
        if not topic.endswith("/desired"):
            return  # a word to itself
        self.trail.note(machine.name, "publishes", device, payload)
        self.relay_checks.relay_published(machine, device, payload)

    def hook_told(self, notice: NoticeRow, hook: Hook) -> None:
        """A hook was told."""
        self.trail.note(hook.id, "is told", notice.id)
        self.told.append((hook.id, notice))
