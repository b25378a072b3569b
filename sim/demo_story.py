"""The demo's story, played without a person: every step is done on real pins and must be seen on real devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from relay.core.alarm import NoteType, Outcome
from relay.core.policy import Policy
from relay.texts import Language, Text
from sim.demo_cast import line_sentence
from sim.demo_plot import DOCTOR, FIRST, HELPER, OTHER_PANEL, PANEL, SECOND, Gesture, PlotStep, plot
from sim.demo_sightings import Chronicle, JournalLine
from sim.demo_signs import find_sign, has_facts, stages_of

NEAR_S = 10.0
"""What follows at once must be seen within this: a hundred times what it takes, for machines that are very busy."""
LATE_S = 2.0
"""A step may start this late: the product's 1 s, and 1 s because this machine runs the whole neighbourhood at once."""
EARLY_S = 0.1
"""The press is timed here before the panel hears it, so nothing can be early; clocks are allowed this much."""

NOT_REACHED = "not reached"


class Stage(Protocol):
    """Where the story plays: the real neighbourhood, or a test's."""

    chronicle: Chronicle
    policy: Policy

    def gesture(self, gesture: Gesture) -> None:
        """Put a finger on a button; returns when it is off again. Raises ``OSError`` if the device does not answer."""
        ...

    def trouble(self) -> str | None:
        """What has ended that should run, with its last lines."""
        ...

    def journal(self) -> Sequence[JournalLine]:
        """The relay's journal as its own command exports it."""
        ...

    def monotonic(self) -> float:
        """The clock of the chronicle, in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of a step. ``seen_at_ms`` counts from the press; None: not seen, or from before the press."""

    name: str
    expected: Text
    ok: bool
    seen_at_ms: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class StoryResult:
    """The whole story. ``journal``: the alarm's lines; ``press_to_ring_ms``: finger to first chime."""

    steps: tuple[StepResult, ...]
    journal: tuple[JournalLine, ...]
    press_to_ring_ms: int | None

    @property
    def ok(self) -> bool:
        """Whether every step was really seen."""
        return all(step.ok for step in self.steps)


class Story:
    """Plays once. ``on_step`` hears of each step once it is decided; ``near_s``: patience for what follows at once."""

    def __init__(
        self, stage: Stage, language: Language, on_step: Callable[[StepResult], None], near_s: float = NEAR_S
    ) -> None:
        self._stage = stage
        self._near_s = near_s
        self._plot = plot(language)
        self._on_step = on_step
        self._results: list[StepResult] = []
        self._mark = 0
        self._pressed_at_s: float | None = None
        self._accepted_mark: int | None = None

    def play(self) -> StoryResult:
        """Every step in order, up to the first that fails; then what must never have been; then the journal."""
        for step in self._plot:
            if all(result.ok for result in self._results):
                self._decide(self._play_step(step))
            else:
                self._decide(StepResult(step.name, step.expected, ok=False, why=NOT_REACHED))
        journal = tuple(line for line in self._stage.journal() if line.alarm is not None)
        self._decide(self._no_false_comfort())
        self._decide(self._others_untouched())
        self._decide(_journal_result(journal, self._stage.policy))
        first = next((result.seen_at_ms for result in self._results if result.name == "first_bell"), None)
        return StoryResult(tuple(self._results), journal, first)

    def _decide(self, result: StepResult) -> None:
        self._results.append(result)
        self._on_step(result)

    def _play_step(self, step: PlotStep) -> StepResult:
        if step.gesture is not None and (failure := self._act(step.gesture)) is not None:
            return StepResult(step.name, step.expected, ok=False, why=failure)
        chronicle = self._stage.chronicle
        waits = sum(one.wait_s for one in self._stage.policy.steps[: step.waits])
        due_s = (self._pressed_at_s or 0.0) + waits
        patience_s = self._near_s + (max(0.0, due_s - self._stage.monotonic()) if waits else 0.0)
        seen_ms: list[int] = []
        for sign in step.signs:
            sighting = chronicle.wait_for(
                partial(find_sign, sign, chronicle, self._mark),
                patience_s,
                lambda: self._stage.trouble() is not None,
            )
            if (trouble := self._stage.trouble()) is not None:
                return StepResult(step.name, step.expected, ok=False, why=trouble)
            if sighting is None:
                return StepResult(step.name, step.expected, ok=False, why=f"not seen: {sign}; {self._last_views()}")
            if self._pressed_at_s is not None:
                at_ms = round((sighting.at_s - self._pressed_at_s) * 1000)
                seen_ms.append(at_ms)
                if waits and not -EARLY_S <= at_ms / 1000 - waits <= LATE_S:
                    why = f"{sign}: due {waits * 1000} ms after the press, seen after {at_ms} ms"
                    return StepResult(step.name, step.expected, ok=False, seen_at_ms=at_ms, why=why)
        return StepResult(step.name, step.expected, ok=True, seen_at_ms=max(seen_ms, default=None))

    def _act(self, gesture: Gesture) -> str | None:
        """Do it; returns what went wrong."""
        self._mark = self._stage.chronicle.mark()
        if self._pressed_at_s is None:
            self._pressed_at_s = self._stage.monotonic()
        elif gesture.device == DOCTOR and self._accepted_mark is None:
            self._accepted_mark = self._mark
        try:
            self._stage.gesture(gesture)
        except OSError as error:
            return self._stage.trouble() or f"{gesture.device} cannot be reached: {error}"
        return None

    def _last_views(self) -> str:
        views = sorted(self._stage.chronicle.devices().items())
        return ", ".join(f"{device}={view.stage or '-'}" for device, view in views)

    def _no_false_comfort(self) -> StepResult:
        text = Text("有人答应之前，面板从未说“有人来了”", "the panel never said coming before somebody had said so")
        sightings = self._stage.chronicle.since()
        if self._accepted_mark is not None:
            sightings = sightings[: len(sightings) - len(self._stage.chronicle.since(self._accepted_mark))]
        early = [stage for _, stage in stages_of(sightings, PANEL) if stage in ("coming", "arrived")]
        return StepResult("no_false_comfort", text, ok=not early, why=f"shown too early: {early}" if early else "")

    def _others_untouched(self) -> StepResult:
        text = Text("周爷爷家什么也没发生", "nothing happened at Grandpa Zhou's")
        stages = [stage for _, stage in stages_of(self._stage.chronicle.since(), OTHER_PANEL)]
        ok = stages == ["idle"]
        return StepResult("others_untouched", text, ok=ok, why="" if ok else f"{OTHER_PANEL} was {stages}")


_JOURNAL: tuple[tuple[NoteType, tuple[tuple[str, object], ...]], ...] = (
    (NoteType.RAISED, ()),
    (NoteType.STEP_STARTED, (("step", 1), ("bells", FIRST))),
    (NoteType.SOUNDING, (("bells", FIRST),)),
    (NoteType.STEP_STARTED, (("step", 2), ("bells", SECOND))),
    (NoteType.SOUNDING, (("bells", SECOND),)),
    (NoteType.STEP_STARTED, (("step", 3), ("bells", DOCTOR))),
    (NoteType.SOUNDING, (("bells", DOCTOR),)),
    (NoteType.ACCEPTED, (("person", HELPER.person),)),
    (NoteType.ARRIVED, (("person", HELPER.person),)),
    (NoteType.CLOSED, (("outcome", Outcome.HELPED.value),)),
)


def _journal_result(journal: Sequence[JournalLine], policy: Policy) -> StepResult:
    text = Text("日志中每一步都在，时间符合预案", "the journal has every step, at the times of the policy")
    why = check_journal(journal, policy)
    return StepResult("journal", text, ok=why is None, why=why or "")


def check_journal(journal: Sequence[JournalLine], policy: Policy) -> str | None:
    """What is wrong with the committed journal of the story: a line missing or out of order, a wait not kept."""
    if len(alarms := {line.alarm for line in journal}) > 1:
        return f"{len(alarms)} alarms of one press"
    lines = iter(journal)
    started: list[JournalLine] = []
    for kind, facts in _JOURNAL:
        line = next((line for line in lines if has_facts(line, kind, facts)), None)
        if line is None:
            return f"no {kind.value} {dict(facts)} in its place"
        if kind is NoteType.STEP_STARTED:
            started.append(line)
    for number, (line, after) in enumerate(pairwise(started)):
        waited_s = (after.at - line.at) / timedelta(seconds=1)
        wait_s = policy.steps[number].wait_s
        if not -EARLY_S <= waited_s - wait_s <= LATE_S:
            return f"step {number + 2} started {waited_s:.3f} s after step {number + 1}, the policy says {wait_s} s"
    return None


def story_json(result: StoryResult, policy: Policy, language: Language) -> dict[str, Any]:
    """The story for programs."""
    raised = result.journal[0].at if result.journal else None
    return {
        "ok": result.ok,
        "steps": [
            {
                "name": step.name,
                "expected": step.expected.say(language),
                "seen_at_ms": step.seen_at_ms,
                "ok": step.ok,
                "why": step.why,
            }
            for step in result.steps
        ],
        "press_to_ring_ms": result.press_to_ring_ms,
        "policy": {"waits_s": [step.wait_s for step in policy.steps], "arrive_wait_s": policy.arrive_wait_s},
        "timeline": [
            {
                "at_ms": round((line.at - raised) / timedelta(milliseconds=1)) if raised is not None else 0,
                "type": line.type,
                "zh": line_sentence(line, Language.ZH),
                "en": line_sentence(line, Language.EN),
            }
            for line in result.journal
        ],
    }
