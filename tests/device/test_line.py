"""The buttons of a whole device: what a wet contact, a noisy line, a held button and a slow turn come to."""

from __future__ import annotations

from device.core.button import ButtonLimits, ButtonPhase, ButtonState
from device.core.contact import ContactLimits, ContactState
from device.core.line import LineState, line_deadline
from device.core.role import ButtonName, Role
from device.core.signals import Light, Tone
from device.ports import PinEdge
from doorbell.wire import AlarmKind, Coverage, EventType, Panel, Ring, Stage
from tests.device.doubles import ALARM, START, Bench

LIMITS = ContactLimits()
BURST, EVERY = LIMITS.press_burst, LIMITS.press_every_ms
HELP, OK, ANSWER = ButtonName.HELP, ButtonName.OK, ButtonName.ANSWER
RING = Ring.model_validate(
    {
        "alarm": ALARM,
        "kind": AlarmKind.HELP,
        "from": "button-liu",
        "label": "柳奶奶",
        "raised_at": START,
        "stage": Stage.RINGING,
    }
)


def chatter(bench: Bench, button: ButtonName, seconds: int) -> None:
    for _ in range(seconds * 2):
        bench.press(button, ms=30)
        bench.advance(420)


def test_a_panel_with_a_wet_contact_writes_little_and_tells_one_fault() -> None:
    bench = Bench()
    bench.connect()
    began = bench.store.commits
    chatter(bench, HELP, 600)
    rows = list(bench.store.rows.values())
    faults = [row.detail["code"] for row in rows if row.type is EventType.FAULT and row.detail]
    helps = [row for row in rows if row.type is EventType.HELP]
    assert faults == ["button_chatter"]
    assert len(helps) <= BURST + 600_000 // EVERY + 1
    assert bench.store.commits - began == len(rows)
    assert bench.runtime.counters["press_deferred"] > 1_000


def test_the_elder_is_answered_by_tone_and_light_also_when_the_press_must_wait() -> None:
    bench = Bench()
    bench.connect()
    chatter(bench, HELP, 15)
    while bench.store.rows:  # the relay stores what is under way, and the rest comes
        stored = tuple({e.id for e in bench.events()})
        bench.desire(stored=stored, panel=Panel(alarm=None, coverage=Coverage.COVERED))
    bench.advance(10_000)
    assert bench.lights()[-1] is Light.COVERED
    sent = {e.id for e in bench.events()}
    bench.forget()
    bench.press(HELP)
    assert bench.tones() == [Tone.HEARD]
    assert bench.lights() == [Light.HEARD]
    assert not {e.id for e in bench.events()} - sent
    bench.advance(LIMITS.echo_ms)
    assert bench.lights() == [Light.HEARD, Light.COVERED]
    bench.advance(EVERY)
    late = {e.id: e for e in bench.events() if e.id not in sent}.values()
    assert [e.type for e in late] == [EventType.HELP]


def test_a_bell_with_a_wet_contact_does_not_say_that_somebody_comes() -> None:
    bench = Bench(Role.BELL)
    bench.connect()
    chatter(bench, ANSWER, 30)
    bench.desire(rings=(RING,))
    chatter(bench, ANSWER, 30)
    bench.press(ANSWER, ms=3_500)
    assert [e.type for e in bench.events() if e.type is not EventType.FAULT] == []
    assert bench.sound.sounding
    bench.advance(EVERY)
    bench.press(ANSWER)
    assert EventType.ACCEPT in [e.type for e in bench.events()]


def test_a_noisy_line_is_one_fault_and_no_press() -> None:
    bench = Bench()
    bench.connect()
    for _ in range(4_000):
        bench.down(OK)
        bench.advance(15)
        bench.up(OK)
        bench.advance(5)
    kinds = {e.id: (e.type, e.detail and e.detail["code"]) for e in bench.events()}
    assert list(kinds.values()) == [(EventType.FAULT, "button_noisy")]
    assert len(bench.store.rows) == 1


def test_a_line_is_sampled_when_either_half_has_something_to_decide() -> None:
    """A press that waits must be told in time though the finger has gone and nothing else asks for a turn."""
    calm = ButtonState(ButtonPhase.UP, active=False, since_ms=0, down_ms=0)
    owed = ContactState(paid_ms=900_000, chatter=True, owed_ms=100_000)
    assert line_deadline(LineState(calm), ButtonLimits(), LIMITS) is None
    assert line_deadline(LineState(calm, owed), ButtonLimits(), LIMITS) == 900_000 - (BURST - 1) * EVERY
    down = ButtonState(ButtonPhase.UP, active=True, since_ms=100, down_ms=0)
    assert line_deadline(LineState(down, owed), ButtonLimits(), LIMITS) == 125


def test_a_button_held_for_hours_writes_nothing_more_and_its_next_press_counts() -> None:
    bench = Bench()
    bench.down(HELP)
    bench.advance(120_000)
    commits = bench.store.commits
    bench.advance(8 * 3_600_000)
    assert bench.store.commits == commits
    bench.up(HELP)
    bench.advance(100)
    bench.press(HELP)
    assert [row.type for row in bench.store.rows.values()].count(EventType.HELP) == 2


def test_the_level_is_not_read_while_older_edges_wait() -> None:
    """Noise that queued up behind a slow disk became a press: the level of now was taken for that of then."""
    bench = Bench()
    began = bench.clock.now_ms
    bench.clock.advance(1_000)
    bench.pins.levels[HELP] = True  # some pulse of the noise, much later than the edges below
    bench.runtime.turn([PinEdge(HELP, True, began)], more=True)
    bench.runtime.turn([PinEdge(HELP, False, began + 10)])
    bench.pins.levels[HELP] = False
    bench.advance(500)
    assert not bench.store.rows
