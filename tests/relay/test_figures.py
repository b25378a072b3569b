"""What the relay measures of itself, and how its state is judged from it."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from doorbell.broker_order import Need
from relay.auditor import INTERVAL_S, Auditor
from relay.figures import ENDS_NOW_DAYS, ENDS_SOON_DAYS, CertificateEnds, Figures, Gauges, Spread, Whose
from relay.judgement import (
    STUCK_S,
    UNPROVEN_S,
    Ailment,
    Judgement,
    judge_life,
    judge_readiness,
)
from relay.loop import PROOF_S
from relay.ports import Forgotten
from relay.runtime import RelayRuntime
from relay.texts import Language
from relay.texts.judgement import ADVICE
from tests.relay.doubles import BELLS, PENG, WANG, FakeEvidence, House, content_auditor, uid


class Watch:
    """A stopwatch that advances when it is told to, or a little with every look."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.step_s = 0.0

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class Measured(House):
    """A house whose relay is measured."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.figures = Figures(self.watch)
        super().__init__()

    def boot(self) -> None:
        super().boot()
        self.relay = RelayRuntime(self.store, self.link, self.notifier, self.clock, self.topics, stopwatch=self.watch)
        self.relay.start()

    def seen_press(self, number: int, *, arrived_s: float) -> None:
        delivery = replace(self.event("button-liu", "help", number), arrived_s=arrived_s)
        self.figures.turned(self.hear(delivery))


def filled(spread: Spread) -> dict[float, int]:
    """The places of a spread that have something in them, by upper bound."""
    return {bound: n for bound, n in zip((*spread.bounds, float("inf")), spread.counts, strict=True) if n}


def test_a_value_on_a_bound_belongs_below_it_and_one_above_all_has_a_place() -> None:
    spread = Spread((1.0, 2.0))
    for value in (-3.0, 1.0, 1.5, 99.0):
        spread.add(value)
    assert spread.counts == [2, 1, 1]
    assert spread.total == 101.5


def test_a_new_press_is_measured_from_the_link_to_its_rings_and_from_its_commit() -> None:
    house = Measured()
    house.watch.step_s = 0.02  # read, begun, committed, published: 20 ms apart
    house.seen_press(1, arrived_s=100.0)
    assert filled(house.figures.press_to_ring) == {0.1: 1}
    assert house.figures.press_to_ring.total == pytest.approx(0.08)
    assert house.figures.commit_to_publish.total == pytest.approx(0.02)
    assert house.figures.commit.total == pytest.approx(0.02)
    assert filled(house.figures.commit_events) == {1.0: 1}
    house.seen_press(2, arrived_s=100.0)
    assert sum(house.figures.press_to_ring.counts) == 1, "the second press of an open alarm rings nothing new"
    assert sum(house.figures.commit.counts) == 2


def test_a_press_is_measured_to_the_first_bell_that_sounds_and_to_no_other() -> None:
    house = Measured()
    house.seen_press(1, arrived_s=0.0)
    house.clock.advance(1_200)
    house.figures.turned(house.hear(house.report(PENG, 1)))
    house.clock.advance(45_000)
    house.figures.turned(house.hear())
    house.figures.turned(house.hear(house.report(WANG, 1)))
    assert filled(house.figures.press_to_sound) == {2.0: 1}
    assert house.figures.press_to_sound.total == pytest.approx(1.2)


def test_a_deadline_that_is_looked_at_late_is_measured() -> None:
    house = Measured()
    house.seen_press(1, arrived_s=0.0)
    house.clock.advance(5_400)  # the step is found deaf after 5 s
    house.figures.turned(house.hear())
    assert filled(house.figures.deadline_lag) == {0.5: 1}
    assert house.figures.deadline_lag.total == pytest.approx(0.4)


def test_open_alarms_are_counted_by_stage_through_a_whole_life_and_after_a_restart() -> None:
    house = Measured()

    def counted() -> dict[tuple[str, str], int]:
        book = house.relay.book
        walked = Counter((alarm.kind, alarm.stage) for alarm in book.by_id.values())
        assert +book.stages == walked
        return {(kind.value, stage.value): n for (kind, stage), n in house.relay.gauges().open_alarms.items() if n}

    house.press(1)
    assert counted() == {("help", "ringing"): 1}
    house.press(2, device="button-chen")
    house.hear(house.event(PENG, "accept", 3, alarm=1))
    assert counted() == {("help", "accepted"): 1, ("help", "ringing"): 1}
    house.boot()
    assert counted() == {("help", "accepted"): 1, ("help", "ringing"): 1}
    house.clock.advance(1_000)
    house.hear(house.event(PENG, "done", 4, alarm=1))
    assert counted() == {("help", "ringing"): 1}


def test_while_an_alarm_rings_the_relay_leaves_no_broker_that_works_for_a_better_one() -> None:
    house = Measured()
    assert house.relay.gauges().need is Need.NONE
    house.press(1)
    assert house.relay.gauges().need is Need.RECEIPT
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    assert house.relay.gauges().need is Need.NONE


def test_devices_are_counted_as_online_silent_and_unheard() -> None:
    house = Measured()
    registered = len(house.store.load_register()[1].devices)
    house.hear(house.online(PENG, "offline"))
    gauges = house.relay.gauges()
    assert (gauges.registered, gauges.heard, gauges.online) == (registered, len(BELLS) + 1, len(BELLS))
    assert gauges.link_is_up


def test_a_relay_without_work_proves_its_database_with_one_small_commit() -> None:
    house = Measured()
    house.hear()
    assert house.trace == []
    house.relay.prove_disk()
    house.hear()
    house.hear()
    assert house.trace == [("commit", None)]


# ---------------------------------------------------------------------------------------------------------------------
# The judgement


def well_since_now(house: Measured) -> None:
    """A turn that committed something."""
    house.relay.prove_disk()
    house.figures.turned(house.hear())


def ready(house: Measured, gauges: Gauges | None = None) -> Judgement:
    """The judgement, beside an auditor that is content."""
    return judge_readiness(house.figures, gauges or house.relay.gauges(), content_auditor(house.watch), link_alive=True)


@pytest.mark.parametrize(("idle_s", "problems"), [(0.0, ()), (STUCK_S, ()), (STUCK_S + 0.1, (Ailment.LOOP_STUCK,))])
def test_a_loop_that_does_not_move_is_no_life(idle_s: float, problems: tuple[Ailment, ...]) -> None:
    house = Measured()
    well_since_now(house)
    house.watch.now_s += idle_s
    assert judge_life(house.figures, link_alive=True).problems == problems


def test_a_dead_link_is_no_life_and_a_refusing_database_is_life_but_not_readiness() -> None:
    house = Measured()
    well_since_now(house)
    assert judge_life(house.figures, link_alive=False).problems == (Ailment.LINK_DEAD,)
    house.watch.now_s += STUCK_S * 10
    house.figures.store_failed()
    assert judge_life(house.figures, link_alive=True).well
    judged = ready(house)
    assert judged.problems == (Ailment.STORE_REFUSES,)
    well_since_now(house)
    assert ready(house).well


def test_ready_needs_a_commit_of_late_and_a_broker() -> None:
    house = Measured()
    well_since_now(house)
    for _ in range(round(UNPROVEN_S // 10) + 1):
        house.watch.now_s += 10.0
        house.figures.turned(house.hear())
    assert judge_readiness(
        house.figures, house.relay.gauges(), content_auditor(house.watch), link_alive=True
    ).problems == (Ailment.STORE_UNPROVEN,)
    well_since_now(house)
    gauges = replace(house.relay.gauges(), link_is_up=False)
    assert ready(house, gauges).problems == (Ailment.BROKER_AWAY,)
    assert PROOF_S < UNPROVEN_S, "an idle relay proves itself before it is doubted"


def test_ready_needs_an_auditor_that_looks_and_finds_nothing(allow_error_logs: list[dict[str, Any]]) -> None:
    house = Measured()
    well_since_now(house)
    evidence = FakeEvidence()
    auditor = Auditor(evidence, lambda _: None, now=house.clock.now, monotonic=house.watch)

    def problems() -> tuple[Ailment, ...]:
        house.figures.turned(house.hear())
        house.figures.proven_s = house.watch.now_s
        return judge_readiness(house.figures, house.relay.gauges(), auditor, link_alive=True).problems

    assert problems() == ()
    house.watch.now_s += 3 * INTERVAL_S + 1
    assert problems() == (Ailment.AUDITOR_SILENT,)
    evidence.rows = [Forgotten(uid(1), "xihu", None)]
    auditor.look()
    assert problems() == (), "seen once, it may be a clock that has just been set"
    auditor.look()
    assert problems() == (Ailment.ALARMS_FORGOTTEN,)
    evidence.rows = []
    auditor.look()
    assert problems() == ()


@pytest.mark.parametrize(
    ("days", "problems", "warnings"),
    [
        ({Whose.RELAY: 300.0, Whose.BROKER: ENDS_SOON_DAYS}, (), ()),
        ({Whose.RELAY: 300.0, Whose.BROKER: ENDS_SOON_DAYS - 0.1}, (), (Ailment.CERTIFICATE_ENDS,)),
        ({Whose.SIGNING: ENDS_NOW_DAYS, Whose.RELAY: 99.0}, (), (Ailment.CERTIFICATE_ENDS,)),
        ({Whose.SIGNING: ENDS_NOW_DAYS - 0.1, Whose.RELAY: 99.0}, (Ailment.CERTIFICATE_URGENT,), ()),
        ({Whose.BROKER: -2.0, Whose.RELAY: 20.0}, (Ailment.CERTIFICATE_URGENT,), ()),
        ({}, (), ()),
    ],
)
def test_a_certificate_that_ends_is_a_warning_first_and_a_problem_in_its_last_week(
    days: dict[Whose, float], problems: tuple[Ailment, ...], warnings: tuple[Ailment, ...]
) -> None:
    house = Measured()
    well_since_now(house)
    house.figures.certificates = CertificateEnds(days)
    judged = ready(house)
    assert (judged.problems, judged.warnings) == (problems, warnings)
    assert {f"certificate_days.{whose.value}": left for whose, left in days.items()}.items() <= judged.facts.items()


def test_a_clock_that_is_wrong_is_told() -> None:
    house = Measured()
    well_since_now(house)
    house.figures.certificates = CertificateEnds({Whose.RELAY: 300.0}, clock_wrong=True)
    assert ready(house).warnings == (Ailment.CLOCK_WRONG,)
    assert ready(house).well


def test_every_problem_has_words_in_both_languages_and_something_to_do() -> None:
    assert set(ADVICE) == set(Ailment)
    for advice in ADVICE.values():
        for text in (advice.what, advice.do):
            assert text.say(Language.ZH) != text.say(Language.EN)
            assert text.zh.endswith("。")
            assert text.en.endswith(".")
