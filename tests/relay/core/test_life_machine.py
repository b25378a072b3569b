"""Whatever happens to an alarm, in whatever order: the rules that may not be broken."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.core.alarm import (
    MAX_HELPERS,
    Accepted,
    AlarmEvent,
    AlarmStage,
    BellsChanged,
    ClockStepped,
    ClosedBy,
    Declined,
    DoneBy,
    Due,
    HelperState,
    HookFailed,
    OkPressed,
    Outcome,
    Pressed,
)
from relay.core.life import APPLIED
from relay.core.policy import OnMistake
from relay.core.steps import Surroundings
from tests.relay.core.situations import BELL_OF, Story, at
from tests.relay.doubles import BELLS, BOARD, CHAT, PANEL, neighbourhood, steps

POLICIES = [
    steps(("volunteer:1", 45), ("volunteers", 45), ("group:medical office", 120), ("everyone", 120)),
    steps(("everyone", 3)),
    steps(("hook:board", 1), ("volunteer:9", 86_400), ("volunteer:2", 7)),
    steps(*(("volunteers", 6),) * 20),
]
PEOPLE = st.sampled_from(sorted(BELL_OF))
SECONDS_AGO = st.sampled_from([0, 0, 0, 0.1, 3, 59, 601, 90_000])
SEQ = st.none() | st.integers(0, 30)
PANELS = st.sampled_from([PANEL, PANEL, "button-2"])


class AlarmMachine(RuleBasedStateMachine):
    """One alarm; the machine moves the clock, the people, the bells and the network."""

    def __init__(self) -> None:
        super().__init__()
        self.story: Story | None = None
        self.reasons: set[str] = set()

    @precondition(lambda self: self.story is None)
    @rule(policy=st.sampled_from(POLICIES), online=st.sets(st.sampled_from(BELLS)), settled=st.booleans())
    def begin(self, policy: Any, online: set[str], settled: bool) -> None:
        self.story = Story(register=neighbourhood(help_steps=policy), online=online, settled=settled)

    def happen(self, event: AlarmEvent) -> None:
        assert self.story is not None
        before = self.story.alarm
        result = self.story.happens(event).last
        after = result.alarm
        assert after.presses >= before.presses
        assert after.called[: len(before.called)] == before.called
        assert after.policy is before.policy
        assert (after.id, after.household, after.raised_at) == (before.id, before.household, before.raised_at)
        if not before.is_open:
            assert (after, result.reason) == (before, "closed")
        if result.reason != APPLIED:
            assert after is before
            assert not result.notes
        if isinstance(event, Pressed) and before.is_open:
            assert after.presses == before.presses + 1
            assert after.is_open
        if before.stage is AlarmStage.RINGING and after.stage is AlarmStage.ACCEPTED:
            assert isinstance(event, Accepted), "nothing but a person's word makes anybody come"
        if before.is_open and not after.is_open:
            assert isinstance(event, OkPressed | DoneBy | ClosedBy)
            assert after.outcome is not None
        self.reasons.add(result.reason)
        self.repeat(event, was_reset=bool(before.declined) and not after.declined)

    def repeat(self, event: AlarmEvent, *, was_reset: bool) -> None:
        """The same event again is named as such, or counted; it never changes the stage."""
        assert self.story is not None
        before = self.story.alarm
        again = Story.happens(self.story, event).last
        if isinstance(event, Pressed | HookFailed):  # a hook of this step may be one of the next step too
            return
        assert again.alarm.stage is before.stage
        late = isinstance(event, Accepted) and before.stage is AlarmStage.RINGING
        given_back = isinstance(event, Declined) and event.person not in before.declined
        assert again.reason != APPLIED or late or given_back or was_reset, event

    @precondition(lambda self: self.story is not None)
    @rule(device=PANELS, ago=SECONDS_AGO, seq=SEQ)
    def press(self, device: str, ago: float, seq: int | None) -> None:
        assert self.story is not None
        self.happen(Pressed(device, at(self.story.now - ago), seq))

    @precondition(lambda self: self.story is not None)
    @rule(device=PANELS, ago=SECONDS_AGO, seq=SEQ)
    def ok(self, device: str, ago: float, seq: int | None) -> None:
        assert self.story is not None
        before, event = self.story.alarm, OkPressed(device, at(self.story.now - ago), seq)
        self.happen(event)
        if before.is_open and not self.story.alarm.is_open:
            assert before.stage is AlarmStage.RINGING
            ((panel, pressed_seq), *others) = before.press_seqs
            counted = not others and panel == device and None not in (seq, pressed_seq)
            assert counted or event.at > before.last_press_at, "in doubt the alarm goes on"

    @precondition(lambda self: self.story is not None)
    @rule(person=PEOPLE, ago=SECONDS_AGO)
    def accept(self, person: str, ago: float) -> None:
        assert self.story is not None
        self.happen(Accepted(person, BELL_OF[person], at(self.story.now - ago)))

    @precondition(lambda self: self.story is not None)
    @rule(person=PEOPLE)
    def decline(self, person: str) -> None:
        assert self.story is not None
        self.happen(Declined(person, BELL_OF[person], at(self.story.now)))

    @precondition(lambda self: self.story is not None)
    @rule(person=PEOPLE, ago=SECONDS_AGO)
    def done(self, person: str, ago: float) -> None:
        assert self.story is not None
        self.happen(DoneBy(person, BELL_OF[person], at(self.story.now - ago)))

    @precondition(lambda self: self.story is not None)
    @rule(online=st.sets(st.sampled_from(BELLS)), data=st.data())
    def bells_change(self, online: set[str], data: st.DataObject) -> None:
        assert self.story is not None
        sounding = data.draw(st.sets(st.sampled_from(sorted(online)))) if online else set()
        self.story.around = Surroundings(self.story.around.register, frozenset(online))
        self.happen(BellsChanged(tuple(sorted(sounding))))

    @precondition(lambda self: self.story is not None)
    @rule(hook=st.sampled_from([CHAT, BOARD, "gone"]))
    def hook_fails(self, hook: str) -> None:
        self.happen(HookFailed(hook))

    @precondition(lambda self: self.story is not None)
    @rule(mistake=st.sampled_from(OnMistake), without=st.sets(st.sampled_from(BELLS)))
    def register_changes(self, mistake: OnMistake, without: set[str]) -> None:
        assert self.story is not None
        register = neighbourhood(on_mistake=mistake, without=sorted(without))
        self.story.around = Surroundings(register, self.story.around.online)

    @precondition(lambda self: self.story is not None)
    @rule(delta_ms=st.sampled_from([-3_600_000, -250, 250, 3_600_000]))
    def clock_steps(self, delta_ms: int) -> None:
        assert self.story is not None
        before = self.story.alarm
        self.story.happens(ClockStepped(delta_ms))
        if before.is_open:
            self.story.now += delta_ms / 1000

    @precondition(lambda self: self.story is not None)
    @rule(seconds=st.sampled_from([0.001, 1, 4.999, 5, 44, 46, 130, 700, 4_000]))
    def time_passes(self, seconds: float) -> None:
        assert self.story is not None
        self.story.until(self.story.now + seconds)
        deadline = self.story.alarm.deadline
        assert deadline is None or deadline > at(self.story.now)

    @precondition(lambda self: self.story is not None and self.story.alarm.presses > 3)
    @rule(outcome=st.sampled_from(Outcome))
    def office_closes(self, outcome: Outcome) -> None:
        self.happen(ClosedBy(outcome, "office"))

    @invariant()
    def the_rules_hold(self) -> None:
        if self.story is None:
            return
        alarm = self.story.alarm
        assert (alarm.deadline is not None) is alarm.is_open, "an open alarm has a deadline, a closed one has none"
        assert (alarm.due is not None) is alarm.is_open
        assert (alarm.outcome is None) is alarm.is_open
        assert 0 <= alarm.step < len(alarm.policy.steps)
        people = [helper.person for helper in alarm.helpers]
        assert len(set(people)) == len(people) <= MAX_HELPERS
        assert len(set(alarm.called)) == len(alarm.called)
        assert set(alarm.step_bells) <= set(alarm.called)
        assert len(alarm.recent_presses) <= 3
        match alarm.stage:
            case AlarmStage.RINGING:
                assert alarm.due in (Due.DEAF, Due.STEP)
                assert alarm.step_ends is not None
                assert alarm.deadline is not None
                assert alarm.deadline <= alarm.step_ends, "no deafness puts off a step"
                assert alarm.holder is None
            case AlarmStage.ACCEPTED:
                assert alarm.due is Due.ARRIVE
                assert alarm.holder is not None
                assert alarm.holder.state is HelperState.COMING
            case AlarmStage.ARRIVED:
                assert alarm.due is Due.DONE
                assert alarm.holder is not None
                assert alarm.holder.state is HelperState.ARRIVED
            case AlarmStage.CLOSED:
                assert (alarm.sounding, alarm.step_ends) == ((), None)


AlarmMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAlarm = AlarmMachine.TestCase
