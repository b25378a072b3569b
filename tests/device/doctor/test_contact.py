"""A press in raw edges: good, bouncing, too short, inverted, swapped, silent; judged by figures."""

from __future__ import annotations

import pytest

from device.core.role import ButtonName
from device.doctor.contact import Contact, Touch, Wire, judge_touch, measure_contact
from device.ports import PinEdge
from device.wiring import ButtonWire, Level
from tests.device.doctor.showing import codes, severities

HELP, OK = ButtonName.HELP, ButtonName.OK
STABLE_MS = 20


def edges(*at_ms: int, button: ButtonName = HELP, first: bool = True) -> tuple[PinEdge, ...]:
    """Alternating edges at these times, the first one down."""
    return tuple(PinEdge(button, (number % 2 == 0) == first, at) for number, at in enumerate(at_ms))


def touch(*given: PinEdge, rest: bool | None = False, rest_edges: int = 0, active: Level = Level.LOW) -> Touch:
    return Touch(Wire(HELP, ButtonWire(17, active=active)), rest, rest_edges, 2.0, given, 10_000)


@pytest.mark.parametrize(
    ("times", "contact"),
    [
        ((1_000, 1_150), Contact(2, 150, 0, 150, True)),
        ((1_000, 1_002, 1_005, 1_150), Contact(4, 145, 5, 145, True)),  # bounced for 5 ms on the way down
        ((1_000, 1_150, 1_153, 1_156), Contact(4, 150, 6, 150, True)),  # and for 6 ms on the way up
        ((1_000, 1_019), Contact(2, 19, 19, None, True)),  # never stable
        ((1_000, 1_020), Contact(2, 20, 0, 20, True)),
        ((1_000,), Contact(1, 9_000, 0, 9_000, False)),
        ((1_000, 1_300, 1_302, 1_600), Contact(4, 300, 0, 600, True)),  # a contact that breaks in the middle
        ((), Contact(0, 0, 0, None, False)),
    ],
)
def test_a_press_in_figures(times: tuple[int, ...], contact: Contact) -> None:
    assert measure_contact(edges(*times), 10_000, STABLE_MS) == contact


@pytest.mark.parametrize(
    ("seen", "code", "severity"),
    [
        (touch(*edges(1_000, 1_150)), "button.good", "ok"),
        (touch(), "button.silent", "failure"),
        (touch(*edges(1_000, 1_150, button=OK)), "button.swapped", "failure"),
        (touch(*edges(1_000, 1_010)), "button.too_short", "failure"),
        (touch(*edges(1_000)), "button.not_released", "failure"),
        (touch(*edges(1_000, 1_005, 1_021, 1_200)), "button.noisy", "warning"),
        (touch(*edges(*range(1_000, 1_043), 1_300)), "button.noisy", "warning"),
        (touch(rest=True), "button.active_at_rest", "failure"),
        (touch(*edges(1_000, 1_150, first=False), rest=True), "button.inverted", "failure"),
        (touch(rest=None), "button.unreadable", "failure"),
    ],
)
def test_each_fault_of_a_button_has_its_name(seen: Touch, code: str, severity: str) -> None:
    assert severities(judge_touch(seen, STABLE_MS)) == {code: severity}


def test_interference_is_told_beside_a_press_that_is_well() -> None:
    assert codes(judge_touch(touch(*edges(1_000, 1_150), rest_edges=3), STABLE_MS)) == [
        "button.good",
        "button.restless",
    ]


@pytest.mark.parametrize(("active", "should", "other"), [(Level.LOW, "high", "GND"), (Level.HIGH, "low", "3.3 V")])
def test_wrong_polarity_says_what_the_setting_should_be(active: Level, should: str, other: str) -> None:
    seen = touch(*edges(1_000, 1_150, first=False), rest=True, active=active)
    (finding,) = judge_touch(seen, STABLE_MS)
    assert (finding.data["active_should"], finding.data["other"]) == (should, other)


def test_the_raw_edges_are_there_for_whoever_wants_them_and_bounded() -> None:
    (finding,) = judge_touch(touch(*edges(1_000, 1_003, 1_006, 1_200)), STABLE_MS)
    assert finding.data["raw"] == [[0, 1], [3, 0], [6, 1], [200, 0]]
    (finding,) = judge_touch(touch(*edges(*range(1_000, 2_000))), STABLE_MS)
    assert len(finding.data["raw"]) == 40
