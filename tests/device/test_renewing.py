"""The renewal of a device's certificate in its shell, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from device.core.renewal import KeyMade, Papers
from device.core.role import ButtonName, Role
from doorbell.link import LinkUp
from doorbell.wire import EventType, Panel, PanelAlarm, Stage, certificate_mark
from tests.device.doubles import ALARM, START, Bench

DAY = timedelta(days=1)
HOUR_MS = 3_600_000
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIICHDCC\n-----END CERTIFICATE-----\n"
MARK = certificate_mark(CERTIFICATE)


class FakeIdentity:
    """The files as a test says, and what was done to them."""

    def __init__(self, papers: Papers | None) -> None:
        self.now = papers
        self.done: list[str] = []

    def papers(self) -> Papers | None:
        return self.now

    def is_next(self, certificate: Path | None) -> bool:
        return certificate == Path("next")

    def make_key(self) -> None:
        self.done.append("key")

    def take(self, certificate: str) -> bool:
        self.done.append("take")
        assert self.now is not None
        self.now = replace(self.now, request=None, ready=True)
        return True

    def try_next(self) -> None:
        self.done.append("try")

    def adopt(self) -> bool:
        self.done.append("adopt")
        assert self.now is not None
        self.now = replace(self.now, ready=False, mark=MARK or "", until=START + 365 * DAY)
        return True


def a_bench(papers: Papers | None, role: Role = Role.PANEL) -> tuple[Bench, FakeIdentity]:
    bench = Bench(role=role)
    identity = FakeIdentity(papers)
    bench.identity = identity
    bench.boot()
    bench.connect()
    bench.desire(panel=Panel())
    return bench, identity


DUE = Papers(START - 300 * DAY, START + 65 * DAY, "old")


def renewals(bench: Bench) -> list[object]:
    return list({event.id: event.detail for event in bench.events() if event.type is EventType.RENEW}.values())


def test_the_whole_way_on_virtual_time() -> None:
    bench, identity = a_bench(DUE)
    assert identity.done == ["key"]
    assert bench.reports()[-1].health.certificate_days == 64
    identity.now = replace(DUE, request="please")
    bench.turn(KeyMade())
    assert renewals(bench) == [{"request": "please"}]
    bench.desire(panel=Panel(), stored=tuple(bench.store.rows), cert=CERTIFICATE)
    bench.advance(5_000)
    assert identity.done == ["key", "take", "try"]
    bench.disconnect()
    bench.link.up = True
    bench.turn(LinkUp(2, Path("next")))
    bench.desire(panel=Panel(), cert=CERTIFICATE)
    bench.advance(5_000)
    assert identity.done == ["key", "take", "try", "adopt"]
    assert renewals(bench)[-1] == {"taken": MARK}
    bench.advance(60_000)
    assert bench.reports()[-1].health.certificate_days == 364
    assert len(renewals(bench)) == 2


def test_an_open_alarm_is_not_disturbed() -> None:
    bench, identity = a_bench(replace(DUE, ready=True))
    assert identity.done == ["try"], "calm"
    bench, identity = a_bench(None)
    bench.press(ButtonName.HELP)
    identity.now = replace(DUE, ready=True)
    bench.advance(60_000)
    assert identity.done == [], "a press waits for its receipt"
    alarm = PanelAlarm(id=ALARM, stage=Stage.RINGING, since=START)
    bench.desire(panel=Panel(alarm=alarm), stored=tuple(bench.store.rows))
    bench.advance(60_000)
    assert identity.done == [], "the alarm is open"
    bench.desire(panel=Panel())
    bench.advance(5_000)
    assert identity.done == ["try"]


def test_a_request_that_waits_holds_nothing_up_and_there_is_one_of_them() -> None:
    bench, identity = a_bench(replace(DUE, request="please"))
    assert [row.type for row in bench.store.rows.values()] == [EventType.RENEW]
    bench.clock.advance(25 * HOUR_MS)
    bench.turn()
    assert len({event.id for event in bench.events() if event.type is EventType.RENEW}) == 2
    assert [row.type for row in bench.store.rows.values()] == [EventType.RENEW]
    identity.now = replace(DUE, ready=True)
    bench.advance(5_000)
    assert identity.done == ["try"]


def test_the_fault_stands_until_there_is_a_new_certificate() -> None:
    bench, identity = a_bench(Papers(START - 350 * DAY, START + 15 * DAY, "old"))
    told = [event.detail for event in bench.events() if event.type is EventType.FAULT]
    assert told[0] == {"code": "certificate_ends", "subject": "mqtt", "text": "14 days left", "cleared": False}
    identity.now = Papers(START, START + 365 * DAY, "new")
    bench.advance(5_000)
    assert ("certificate_ends", "mqtt") not in bench.runtime.state.faults


def test_a_key_that_cannot_be_made_is_logged_and_waited_for() -> None:
    bench, identity = a_bench(DUE)
    bench.turn(KeyMade("no openssl"))
    bench.advance(HOUR_MS - 10_000)
    assert identity.done == ["key"]
    bench.advance(10_000)
    assert identity.done == ["key", "key"]


def test_without_an_identity_nothing_is_said() -> None:
    bench = Bench()
    bench.connect()
    assert bench.reports()[-1].health.certificate_days is None
    assert renewals(bench) == []
