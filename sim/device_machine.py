"""One simulated Pi: its clocks, disk, buttons, light and speaker, and the real ``DeviceRuntime`` that runs on it.

The process can die at any call to the outside, the power can go, the disk can refuse, the speaker can stay silent, and
the wall clock can say anything. The disk and the buttons outlive the process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Protocol

from device.core.button import ButtonPhase
from device.core.effects import OutboxRow
from device.core.machine import DeviceLimits
from device.core.role import BUTTONS_OF, ButtonName, Role
from device.core.signals import Light, Words
from device.ports import PinEdge, Ports, RuntimeInput
from device.runtime import DeviceRuntime, RuntimeSettings
from doorbell.link import Delivery
from doorbell.wire import Channel, Health, Topics
from sim.device_parts import Disk, Speaker
from sim.link import SimLink
from sim.network import SimBroker
from sim.schedule import Fuse, ProcessDied, Schedule, Trail

VILLAGE_START = datetime(2026, 11, 23, tzinfo=UTC)
"""The true time when a village begins; a day in November as any other."""
_NO_NETWORK_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_HEALTH = Health()
_TOPICS = Topics()


class DeviceWatcher(Protocol):
    """Who looks at everything that a device does: the checks and the people."""

    def outbox_committed(self, machine: DeviceMachine, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        """A transaction of the outbox is on the disk."""
        ...

    def outbox_refused(self, machine: DeviceMachine, keep: Sequence[OutboxRow]) -> None:
        """A failing disk did not take these."""
        ...

    def device_published(self, machine: DeviceMachine, topic: str, payload: bytes) -> None:
        """Something leaves the device."""
        ...

    def peer_heard(self, machine: DeviceMachine, payload: bytes) -> None:
        """What another device says directly arrives."""
        ...

    def device_turned(self, machine: DeviceMachine) -> None:
        """A turn is done."""
        ...

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:
        """A chime really began or ended."""
        ...

    def words_spoken(self, machine: DeviceMachine, words: Words) -> None:
        """A sentence is spoken."""
        ...

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:
        """The light says something else."""
        ...


class DeviceMachine:
    """A device of the village; it implements the small ports of its runtime itself, except disk and speaker."""

    def __init__(
        self,
        name: str,
        community: str,
        role: Role,
        *,
        schedule: Schedule,
        broker: SimBroker,
        chance: Random,
        watcher: DeviceWatcher,
        trail: Trail,
        report_interval_s: int,
    ) -> None:
        self.name = name
        self.community = community
        self.role = role
        self.schedule = schedule
        self.chance = chance
        self.fuse = Fuse()
        self.disk = Disk(self)
        self.speaker = Speaker(self)
        self.levels: dict[ButtonName, bool] = dict.fromkeys(BUTTONS_OF[role], False)
        self._touched_until_ms: dict[ButtonName, int] = {}
        self.wall_error_ms = 0
        """How far the wall clock is off once it is said to be synced."""
        self.runtime: DeviceRuntime | None = None
        self.link: SimLink | None = None
        self.watcher = watcher
        self.trail = trail
        self.restart_ms: Callable[[], int] = lambda: 2_000
        """How long the service manager takes after a death by the fuse."""
        self.deaths = 0
        self._broker = broker
        self._booted_ms = schedule.now_ms - chance.randint(60_000, 86_400_000)
        self._boots = itertools.count(1)
        self._boot = f"{name}-boot-0"
        self._synced_from_ms = 0
        self._wake_ms: int | None = None
        self.run = 0
        self._settings = RuntimeSettings(
            device=name,
            community=community,
            role=role,
            firmware="village",
            limits=DeviceLimits(report_interval_s=report_interval_s),
            poll_ms=None,
            health_ms=None,
        )
        self._online_topic = _TOPICS.of(community, name, Channel.ONLINE)

    # --- the process ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, if it does not run."""
        if self.runtime is not None:
            return
        self.trail.note(self.name, "starts")
        self.run += 1
        self._wake_ms = None
        self.link = SimLink(
            self._broker,
            self.name,
            sink=self.take,
            fuse=self.fuse,
            presence_topic=self._online_topic,
            on_publish=self._published,
        )
        ports = Ports(
            clock=self,
            link=self.link,
            store=self.disk,
            pins=self,
            sound=self.speaker,
            health=self,
            chance=self.chance,
        )
        try:
            self.runtime = DeviceRuntime(self._settings, ports)
        except ProcessDied:
            self.die(self.restart_ms())
            return
        self.take()
        self.link.start()

    def die(self, restart_after_ms: int, *, power: bool = False, synced_after_ms: int = 0) -> None:
        """The process ends now; with ``power`` the whole machine, whose clock is then wrong until NTP answers."""
        self.deaths += 1
        self.trail.note(self.name, "loses power" if power else "dies")
        self.fuse.left = None
        self.runtime = None
        self.run += 1
        if self.link is not None:
            self.link.die(self.chance.randint(20_000, 90_000) if power else self.chance.randint(0, 20))
            self.link = None
        self.speaker.cut()
        if power:
            boot_at_ms = self.schedule.now_ms + restart_after_ms
            self._booted_ms = boot_at_ms - self.chance.randint(5_000, 20_000)
            self._boot = f"{self.name}-boot-{next(self._boots)}"
            self._synced_from_ms = boot_at_ms + synced_after_ms
        self.schedule.after(restart_after_ms, self.start)

    def take(self, *inputs: RuntimeInput) -> None:
        """Turn once with these inputs."""
        runtime = self.runtime
        if runtime is None:
            return
        for item in inputs:
            if isinstance(item, Delivery) and "/peer/" in item.topic:
                self.watcher.peer_heard(self, item.payload)
        try:
            runtime.turn(inputs)
        except ProcessDied:
            self.die(self.restart_ms())
            return
        self.watcher.device_turned(self)
        self._arm()

    def set_clock(self, error_ms: int) -> None:
        """The wall clock is set, wrong by ``error_ms``, and believed."""
        self.wall_error_ms = error_ms
        self._synced_from_ms = 0

    def unsync(self, until_ms: int) -> None:
        """No network time until then: the wall clock is in 1970 and says that it is not to be believed."""
        self._synced_from_ms = until_ms

    def _arm(self) -> None:
        """See to it that the next turn comes when the runtime wants it."""
        runtime = self.runtime
        deadline_ms = runtime.next_deadline() if runtime is not None else None
        if deadline_ms is None:
            return
        at_ms = max(deadline_ms + self._booted_ms, self.schedule.now_ms)
        if self._wake_ms is None or at_ms < self._wake_ms:
            self._wake_ms = at_ms
            self.schedule.at(at_ms, self._woken, at_ms, self.run)

    def _woken(self, at_ms: int, run: int) -> None:
        if run != self.run or at_ms != self._wake_ms or self.runtime is None:
            return
        self._wake_ms = None
        deadline_ms = self.runtime.next_deadline()
        if deadline_ms is not None and deadline_ms <= self.monotonic_ms():
            self.take()
        else:
            self._arm()

    # --- hands ------------------------------------------------------------------------------------------------------

    def touched(self, button: ButtonName) -> bool:
        """Whether a finger is on the button, or the button still bounces from one."""
        return self.schedule.now_ms < self._touched_until_ms.get(button, 0)

    def press(self, button: ButtonName, ms: int, *, bounces: bool) -> None:
        """A finger goes down now and up after ``ms``; a button that bounces does so for up to 8 ms at both ends."""
        self._touched_until_ms[button] = self.schedule.now_ms + ms + 10
        self.trail.note(self.name, "finger", button.value, ms)
        self._swing(button, down=True, bounces=bounces)
        self.schedule.after(ms, self._swing_up, button, bounces)

    def _swing_up(self, button: ButtonName, bounces: bool) -> None:
        self._swing(button, down=False, bounces=bounces)

    def _swing(self, button: ButtonName, *, down: bool, bounces: bool) -> None:
        self._edge(button, down)
        if bounces:
            self.schedule.after(3, self._edge, button, not down)
            self.schedule.after(8, self._edge, button, down)

    def _edge(self, button: ButtonName, active: bool) -> None:
        if self.levels[button] is not active:
            self.levels[button] = active
            self.take(PinEdge(button, active, self.monotonic_ms()))

    def armed(self, button: ButtonName) -> bool:
        """Whether a press made now must be recognised."""
        return (
            self.runtime is not None
            and self.fuse.left is None
            and not self.disk.failing
            and not self.levels[button]
            and self.runtime.state.buttons[button].button.phase is ButtonPhase.UP
        )

    def spared(self, button: ButtonName) -> bool:
        """Whether so many presses have come that the next ones wait for room (``device.core.contact``)."""
        limits = self._settings.limits.contact
        room_ms = (limits.press_burst - 1) * limits.press_every_ms
        runtime = self.runtime
        return runtime is not None and self.monotonic_ms() < runtime.state.buttons[button].contact.paid_ms - room_ms

    # --- ports of the runtime ---------------------------------------------------------------------------------------

    def monotonic_ms(self) -> int:
        """Milliseconds since this machine booted."""
        return self.schedule.now_ms - self._booted_ms

    def wall(self) -> datetime:
        """The wall clock, right or wrong."""
        if not self.synced():
            return _NO_NETWORK_TIME + timedelta(milliseconds=self.monotonic_ms())
        return VILLAGE_START + timedelta(milliseconds=self.schedule.now_ms + self.wall_error_ms)

    def synced(self) -> bool:
        """Whether NTP has answered since boot."""
        return self.schedule.now_ms >= self._synced_from_ms

    def boot_id(self) -> str:
        """This boot."""
        return self._boot

    def level(self, button: ButtonName) -> bool | None:
        """The level of a line."""
        return self.levels[button]

    def fitted(self) -> Sequence[ButtonName]:
        """The buttons of this device."""
        return tuple(self.levels)

    def show(self, light: Light) -> None:
        """Light up."""
        self.fuse.burn()
        self.trail.note(self.name, "light", light.value)
        self.watcher.light_changed(self, light)

    def read(self) -> Health:
        """How the machine is."""
        return _HEALTH

    def _published(self, topic: str, payload: bytes) -> None:
        self.watcher.device_published(self, topic, payload)
