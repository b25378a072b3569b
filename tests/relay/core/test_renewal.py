"""What a device says of its renewal, and what the relay makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from doorbell.wire import MAX_REQUEST, certificate_mark
from relay.core.renewal import ASK_EVERY, ASKED, TAKEN, Renewal, RenewalRow, hear_renewal
from tests.relay.rows import T0

BEGIN, END = "-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n"
REQUEST, OTHER = f"{BEGIN}MIHO\n{END}", f"{BEGIN}MIHP\n{END}"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIICHDCC\n-----END CERTIFICATE-----\n"
ROW = RenewalRow("bell-peng", "xihu", REQUEST, T0)
TOLD = replace(ROW, state=Renewal.TOLD, answer=CERTIFICATE, answered_at=T0)
SOON, LATER = T0 + ASK_EVERY - timedelta(seconds=1), T0 + ASK_EVERY


def hear(last: RenewalRow | None, detail: dict[str, object] | None, days: float = 0) -> tuple[str, RenewalRow | None]:
    return hear_renewal(last, "bell-peng", "xihu", detail, T0 + timedelta(days=days))


def test_the_first_request_waits_to_be_signed() -> None:
    assert hear(None, {"request": REQUEST}) == (ASKED, ROW)


@pytest.mark.parametrize(
    "detail",
    [
        None,
        {},
        {"request": None},
        {"request": 7},
        {"request": ""},
        {"request": "MIHO"},
        {"request": REQUEST[:-1]},
        {"request": f"{BEGIN}彭\n{END}"},
        {"request": f"{BEGIN}A\0A\n{END}"},  # no database takes it, and a commit holds more than this device's events
        {"request": f"{BEGIN}A\x1b[2J\n{END}"},
        {"request": BEGIN + "A" * MAX_REQUEST + END},
    ],
)
def test_what_is_no_request_is_none(detail: dict[str, object] | None) -> None:
    assert hear(None, detail) == ("renewal_no_request", None)


@pytest.mark.parametrize("state", [Renewal.WAITING, Renewal.SIGNED, Renewal.TOLD])
def test_the_same_request_again_changes_nothing(state: Renewal) -> None:
    assert hear(replace(ROW, state=state), {"request": REQUEST}, days=30) == ("renewal_under_way", None)


def test_a_request_whose_certificate_was_taken_is_done() -> None:
    """A captured one, published again a year later, would otherwise be signed again."""
    assert hear(replace(TOLD, state=Renewal.TAKEN), {"request": REQUEST}, days=400) == ("renewal_done", None)


def test_what_was_refused_may_be_asked_again_on_the_next_day() -> None:
    refused = replace(ROW, state=Renewal.REFUSED, answer="no")
    assert hear(refused, {"request": REQUEST}, days=0.5) == ("renewal_under_way", None)
    verdict, row = hear(refused, {"request": REQUEST}, days=1)
    assert (verdict, row) == (ASKED, replace(ROW, asked_at=T0 + timedelta(days=1)))


@pytest.mark.parametrize("state", list(Renewal))
def test_another_request_takes_its_place_but_not_at_once(state: Renewal) -> None:
    last = replace(ROW, state=state)
    assert hear_renewal(last, "bell-peng", "xihu", {"request": OTHER}, SOON) == ("renewal_too_soon", None)
    asked = RenewalRow("bell-peng", "xihu", OTHER, LATER)
    assert hear_renewal(last, "bell-peng", "xihu", {"request": OTHER}, LATER) == (ASKED, asked)


def test_what_was_told_is_told_until_that_very_certificate_is_taken() -> None:
    mark = certificate_mark(CERTIFICATE)
    assert hear(TOLD, {"taken": mark}) == (TAKEN, replace(TOLD, state=Renewal.TAKEN))
    for last in (None, ROW, replace(TOLD, state=Renewal.SIGNED), replace(TOLD, answer=CERTIFICATE.replace("M", "N"))):
        assert hear(last, {"taken": mark}) == ("renewal_not_told", None)
    for said in ("", mark and mark.upper(), 7, [mark], None):
        assert hear(TOLD, {"taken": said})[1] is None


def test_the_mark_of_a_certificate_is_that_of_its_bytes() -> None:
    assert certificate_mark("") is None
    assert certificate_mark(CERTIFICATE.replace("MIICHDCC", "A")) is None
    assert certificate_mark(CERTIFICATE) == certificate_mark("# ours\n" + CERTIFICATE.replace("MIIC", "MI\r\nIC") + "x")
