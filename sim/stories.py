"""A small neighbourhood in which stories are told in the words of the product, on virtual time.

    story.press("liu")
    story.expect_ring("bell-peng")
    story.advance(seconds=45)
    story.expect_ring("bell-peng", "bell-li", "bell-zhao")

Anything that happens and is not expected by the next act fails: a bell that begins to sound, a panel that says another
thing, a hook that is told. The checks of the storm run all the time.
"""

from __future__ import annotations

from dataclasses import replace

from device.core.bell import BellState
from device.core.panel import PanelStage
from device.core.role import ButtonName, Role
from device.core.signals import Light, Phrase
from device.runtime import DeviceRuntime
from doorbell.wire import AlarmKind
from relay.core.alarm import Alarm, AlarmStage
from relay.core.policy import OnMistake, Policy
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from sim.device_machine import DeviceMachine
from sim.link import MAX_BACKOFF_MS
from sim.people import SAFE_HOLD_MS
from sim.schedule import Violation
from sim.village import Village
from sim.world import policy_steps

COMMUNITY = "west-lake"
SETTLE_MS = 600
"""What follows from an act at once has followed after this: a line's milliseconds, a chime's start, a turn or two."""
_MORNING_MS = 5_000


def story_register() -> Register:
    """Liu's door with three volunteers, Sun's where somebody looks in after a mistake, a clinic and an office."""
    people = {
        "peng": "彭小平",
        "li": "李梅",
        "zhao": "赵强",
        "doctor": "王医生",
        "clerk": "周主任",
    }
    homes = (
        Household("liu", COMMUNITY, "柳奶奶", "西湖山小区 3栋502", ("peng", "li", "zhao")),
        Household("sun", COMMUNITY, "孙爷爷", "4栋101", ("li",), ((AlarmKind.HELP, "look-in"),)),
    )
    devices = [Device(f"panel-{home.id}", COMMUNITY, DeviceRole.PANEL, household=home.id) for home in homes]
    devices += [Device(f"bell-{person}", COMMUNITY, DeviceRole.BELL, person=person) for person in people]
    look_in = Policy("look-in", policy_steps(("volunteers", 45), ("everyone", 120)), on_mistake=OnMistake.LOOK_IN)
    return Register(
        communities={COMMUNITY: Community(COMMUNITY, "西湖山社区")},
        households={home.id: home for home in homes},
        people={id_: Person(id_, COMMUNITY, name) for id_, name in people.items()},
        devices={device.id: device for device in devices},
        groups={
            "clinic": Group("clinic", COMMUNITY, "medical", "社区卫生站", ("doctor",)),
            "office": Group("office", COMMUNITY, "office", "居委会", ("clerk",), ("office-chat",)),
        },
        hooks={"office-chat": Hook("office-chat", COMMUNITY, "http://127.0.0.1:9/hook")},
        policies={look_in.id: look_in},
    )


class Story:
    """Tells a story: acts change something, ``expect_…`` say what must be seen by then, and nothing else may be."""

    def __init__(self, register: Register | None = None) -> None:
        self.village = Village(register or story_register(), "story", poll_ms=1_000, report_interval_s=60)
        self.village.ears = self
        self._unseen_rings: list[str] = []
        self._unseen_stages: dict[str, list[str]] = {}
        self._unseen_told = 0
        self._stage: dict[str, str] = {}
        self.village.start()
        self._run(_MORNING_MS)
        self._unseen_stages.clear()

    # --- acts -------------------------------------------------------------------------------------------------------

    def press(self, household: str, *, hold_s: float = 0.15) -> None:
        """The elder presses the help button."""
        self._finger(f"panel-{household}", ButtonName.HELP, hold_s)

    def ok(self, household: str) -> None:
        """Somebody presses the green button at the elder's."""
        self._finger(f"panel-{household}", ButtonName.OK, 0.15)

    def accept(self, person: str) -> None:
        """A volunteer presses the bell: I am coming."""
        self._finger(f"bell-{person}", ButtonName.ANSWER, 0.15)

    def decline(self, person: str) -> None:
        """A volunteer presses the second button: I cannot."""
        self._finger(f"bell-{person}", ButtonName.DECLINE, 0.15)

    def done(self, person: str) -> None:
        """A volunteer holds the bell's button: it is done."""
        self._finger(f"bell-{person}", ButtonName.ANSWER, SAFE_HOLD_MS / 1000)

    def advance(self, *, seconds: float) -> None:
        """Time passes."""
        self._require_nothing_unseen()
        self._run(round(seconds * 1000))

    def relay_dies(self, *, for_s: float) -> None:
        """The relay's process is killed, and started again after so long."""
        self._require_nothing_unseen()
        self.village.relay.die(round(for_s * 1000))
        self._run(SETTLE_MS)

    def clock_steps(self, *, hours: float) -> None:
        """Somebody sets the relay's wall clock."""
        self._require_nothing_unseen()
        self.village.relay.step_wall(round(hours * 3_600_000))
        self._run(1_000)

    def device_dies(self, device: str, *, for_s: float) -> None:
        """A device's process is killed, and started again after so long."""
        self._require_nothing_unseen()
        self.village.devices[device].die(round(for_s * 1000))
        self._run(SETTLE_MS)

    def unplug(self, device: str) -> None:
        """A device loses its network, and everybody knows at once."""
        self._require_nothing_unseen()
        self.village.broker.cut(device, 1, 1)
        self._run(SETTLE_MS)

    def plug_in(self, device: str) -> None:
        """The network is back, and the device connects within its back-off."""
        self._require_nothing_unseen()
        self.village.broker.mend(device)
        link = self.village.devices[device].link
        if link is None:
            raise Violation(f"{device} is down")
        for _ in range(MAX_BACKOFF_MS // 100):
            if link.connected:
                break
            self._run(100)
        self._run(SETTLE_MS)

    def break_speaker(self, bell: str) -> None:
        """The bell stays silent from now on, and its line is fine."""
        self._require_nothing_unseen()
        self.village.devices[bell].speaker.break_down()
        self._run(SETTLE_MS)

    def edit_policy(self, household: str, policy: Policy) -> None:
        """The office gives a household another policy for help."""
        self._require_nothing_unseen()
        register = self.village.register
        home = replace(register.households[household], policies=((AlarmKind.HELP, policy.id),))
        self.village.register = replace(
            register,
            households={**register.households, household: home},
            policies={**register.policies, policy.id: policy},
        )
        self.village.store.replace_register(self.village.register)
        self._run(2_000)

    # --- what must be seen ------------------------------------------------------------------------------------------

    def expect_ring(self, *bells: str) -> None:
        """Exactly these bells sound now, and no other has begun to since the last look."""
        sounding = {name for name, machine in self.village.devices.items() if machine.speaker.running}
        self._must(sounding == set(bells), f"{sorted(sounding)} sound, not {sorted(bells)}")
        strangers = set(self._unseen_rings) - set(bells)
        self._must(not strangers, f"{sorted(strangers)} have rung meanwhile")
        self._unseen_rings.clear()

    def expect_silence(self) -> None:
        """No bell sounds, and none has begun to since the last look."""
        self.expect_ring()

    def expect_panel(self, household: str, *stages: str) -> None:
        """The panel has said this since the last look, in this order, and nothing else."""
        told = self._unseen_stages.pop(f"panel-{household}", [])
        self._must(told == list(stages), f"the panel of {household} said {told}, not {list(stages)}")

    def expect_bell(self, bell: str, light: Light, who: str | None = None) -> None:
        """The bell's light says this, and beside it stands who is coming."""
        runtime = self._runtime(bell)
        self._must(runtime.state.light is light, f"{bell} says {runtime.state.light}, not {light}")
        rings = runtime.state.role.rings if isinstance(runtime.state.role, BellState) else ()
        names = {ring.who for ring in rings}
        self._must(names == ({who} if rings else set()), f"{bell} names {names}, not {who}")

    def expect_light(self, household: str, light: Light) -> None:
        """The panel's light says this now."""
        runtime = self._runtime(f"panel-{household}")
        self._must(runtime.state.light is light, f"the panel of {household} says {runtime.state.light}, not {light}")

    def expect_told(self, *occasions: str) -> None:
        """The office's chat was told of these occasions since the last look, in this order."""
        told = [str(notice.body["occasion"]) for _, notice in self.village.told[self._unseen_told :]]
        self._unseen_told = len(self.village.told)
        self._must(told == list(occasions), f"the office was told {told}, not {list(occasions)}")

    def said(self, device: str) -> list[tuple[Phrase, str, str]]:
        """What a device has spoken lately: the sentence, who, and whose door."""
        return [(words.phrase, words.who, words.label) for words in self.village.spoken.get(device, ())]

    def channels(self) -> set[str]:
        """Which channels devices have published on."""
        return set(self.village.channels)

    def alarm(self, household: str, kind: AlarmKind = AlarmKind.HELP) -> Alarm:
        """The household's newest alarm of a kind, open or closed, as the database has it."""
        alarms = self.village.store.alarms(open_only=False, limit=1000)
        return next(alarm for alarm in alarms if (alarm.household, alarm.kind) == (household, kind))

    def expect_alarms(self, count: int) -> None:
        """So many alarms were ever raised."""
        raised = self.village.counts["journal.raised"]
        self._must(raised == count, f"{raised} alarms were raised, not {count}")

    def end(self) -> None:
        """The story is over: nothing is left unseen, nobody calls in vain, every outbox is empty."""
        self._require_nothing_unseen()
        for alarm in self.village.store.alarms():
            self._must(alarm.stage is not AlarmStage.RINGING, f"the story ends, and alarm {alarm.id} still rings")
        for machine in self.village.devices.values():
            self._must(not machine.disk.rows, f"{machine.name} still has {machine.disk.rows}")

    # --- sim.village.Ears -------------------------------------------------------------------------------------------

    def chime_changed(self, machine: DeviceMachine, alarm: str, *, sounds: bool) -> None:  # noqa: ARG002 - as in Ears
        """A bell begins or ends to sound."""
        if sounds:
            self._unseen_rings.append(machine.name)

    def light_changed(self, machine: DeviceMachine, light: Light) -> None:  # noqa: ARG002 - as in Ears
        """A panel may say something new."""
        if machine.role is not Role.PANEL or machine.runtime is None:
            return
        stage = machine.runtime.snapshot().stage
        if stage not in (self._stage.get(machine.name, PanelStage.IDLE), PanelStage.IDLE):
            self._unseen_stages.setdefault(machine.name, []).append(stage)
        self._stage[machine.name] = stage

    # ----------------------------------------------------------------------------------------------------------------

    def _finger(self, device: str, button: ButtonName, hold_s: float) -> None:
        self._require_nothing_unseen()
        self.village.press(device, button, round(hold_s * 1000))
        self._run(round(hold_s * 1000) + SETTLE_MS)

    def _run(self, ms: int) -> None:
        self.village.schedule.run_until(self.village.schedule.now_ms + ms)

    def _require_nothing_unseen(self) -> None:
        self._must(not self._unseen_rings, f"nobody expected that {self._unseen_rings} ring")
        self._must(not self._unseen_stages, f"nobody expected that panels say {self._unseen_stages}")
        told = [str(notice.body["occasion"]) for _, notice in self.village.told[self._unseen_told :]]
        self._must(not told, f"nobody expected that the office is told {told}")

    def _runtime(self, device: str) -> DeviceRuntime:
        runtime = self.village.devices[device].runtime
        if runtime is None:
            raise Violation(f"{device} is down")
        return runtime

    def _must(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise Violation("\n".join((otherwise, *self.village.trail.lines()[-15:])))
