"""The relay's inbox: presses before heartbeats, nothing lost, and no device held silent because we were slow."""

import threading
from collections.abc import Iterator

import pytest
import structlog

from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.logs import configure_logs
from relay.figures import Figures
from relay.inbox import REPORT_SHARE, TURN_SIZE, Inbox
from relay.intake import Backlog
from relay.judgement import Ailment, judge_readiness
from relay.loop import GAP_S, SHED_LOG_S, ShedLog, run_loop
from relay.ports import Batch, NoticeDelivered
from relay.runtime import RelayInput
from tests.relay.doubles import BELLS, PANEL, PENG, WANG, House, content_auditor


@pytest.fixture
def house() -> House:
    return House()


def small(house: House | None = None, *, size: int = 100, shed_at: int = 3) -> Inbox:
    """An inbox that is soon full."""
    inbox = Inbox(size=size, shed_at=shed_at)
    if house is not None:
        inbox.is_news = house.relay.is_news
    return inbox


def fill(inbox: Inbox, *items: RelayInput) -> None:
    for item in items:
        inbox.put(item)


def without_backlog(taken: list[RelayInput]) -> list[RelayInput]:
    return [item for item in taken if not isinstance(item, Backlog)]


def backlog_of(taken: list[RelayInput]) -> Backlog:
    (found,) = (item for item in taken if isinstance(item, Backlog))
    return found


def test_what_fits_into_a_turn_keeps_its_order(house: House) -> None:
    items: list[RelayInput] = [
        house.report(PENG),
        house.event(PANEL, "help", 1),
        house.online(WANG),
        LinkDown("gone"),
        LinkUp(2),
        house.report(WANG),
        NoticeDelivered("n", ok=True),
    ]
    inbox = Inbox()
    fill(inbox, *items)
    assert inbox.take(0) == items
    assert inbox.take(0) == []


def test_a_press_overtakes_the_heartbeats_and_heartbeats_keep_their_share(house: House) -> None:
    inbox = Inbox()
    heartbeats = [house.delivery("reported", b"{}", device=f"bell-{n}") for n in range(TURN_SIZE * 2)]
    fill(inbox, *heartbeats)
    presses = [house.event(f"button-{n}", "help", n) for n in range(TURN_SIZE * 2)]
    fill(inbox, *presses)
    taken = without_backlog(inbox.take(0))
    assert len(taken) == TURN_SIZE
    assert [item for item in taken if item in heartbeats] == heartbeats[:REPORT_SHARE]
    assert [item for item in taken if item not in heartbeats] == presses[: TURN_SIZE - REPORT_SHARE]


def test_a_newer_report_takes_the_place_of_the_older_and_both_are_acknowledged(house: House) -> None:
    inbox = Inbox()
    old, will, new = house.report(PENG, 1), house.online(PENG, "offline"), house.report(PENG)
    fill(inbox, old, will, new)
    taken = inbox.take(0)
    assert taken == [will, new, Backlog(superseded=(old,))], "the newest report comes after the will, as it was said"
    turn = house.hear(*taken)
    assert {delivery.mid for delivery in turn.acks} == {old.mid, will.mid, new.mid}
    assert PENG in house.relay._watch.online


def test_a_report_that_took_an_older_ones_place_still_comes_after_the_will_before_it(house: House) -> None:
    """Taken in the older one's turn, it would be followed by the will that it has outlived."""
    inbox = Inbox()
    fill(inbox, house.report(PENG), *crowd(house, TURN_SIZE - 1), house.online(PENG, "offline"), house.report(PENG))
    house.hear(*inbox.take(0))
    house.hear(*inbox.take(0))
    assert PENG in house.relay._watch.online


def test_what_another_relay_says_to_a_device_waits_with_the_reports_and_only_its_newest_word_counts(
    house: House,
) -> None:
    inbox = Inbox()
    first, second = (house.delivery("desired", {"rev": rev}, device=PENG) for rev in (1, 2))
    report = house.report(PENG)
    fill(inbox, first, report, second)
    assert inbox.lengths() == {"urgent": 0, "reports": 2}
    assert inbox.take(0) == [report, second, Backlog(superseded=(first,))]


@pytest.mark.parametrize("channel", ["reported", "desired"])
def test_rubbish_takes_no_place_and_loses_none(house: House, channel: str) -> None:
    inbox = Inbox()
    word = {"rev": 1} if channel == "desired" else house.report(PENG).payload
    rubbish = [house.delivery(channel, payload, device=PENG) for payload in (b'{"rev": "many"}', b"{}", b"?")]
    said = [rubbish[0], rubbish[1], house.delivery(channel, word, device=PENG), rubbish[2]]
    fill(inbox, *said)
    assert inbox.take(0) == said
    old, new = (house.delivery(channel, word, device=PENG) for _ in range(2))
    fill(inbox, old, rubbish[0], new)
    assert inbox.take(0) == [rubbish[0], new, Backlog(superseded=(old,))], "understood words still replace one another"


def test_births_and_wills_never_replace_one_another(house: House) -> None:
    inbox = Inbox()
    said = [house.online(PENG, word) for word in ("offline", "online", "offline", "online")]
    fill(inbox, *said)
    assert inbox.take(0) == said


def crowd(house: House, count: int) -> list[Delivery]:
    """Reports of devices that nobody knows: always news, so always queued."""
    return [house.delivery("reported", b"{}", device=f"stranger-{n}") for n in range(count)]


def test_a_heartbeat_without_news_is_shed_once_many_wait_and_everything_else_is_kept(house: House) -> None:
    house.press(1)
    inbox = small(house)
    fill(inbox, *crowd(house, 2))
    early = house.report(WANG)
    kept = [
        house.report(PENG, 1),
        house.online(WANG),
        house.report("bell-office", rev=7),
        house.report("bell-doctor", next_in_s=30),
    ]
    shed = house.report(PANEL, rev=house.relay._watch.seen[PANEL].rev)
    once: list[RelayInput] = [house.event(PANEL, "help", 2), house.event(PENG, "accept", 3, alarm=1), LinkDown("x")]
    fill(inbox, early, *kept, shed, *once)
    taken = inbox.take(0)
    assert [item for item in taken if item in (early, *kept, *once)] == [early, *kept, *once]
    assert backlog_of(taken).shed == (shed,)


def test_a_report_that_undoes_what_is_still_unread_is_news(house: House) -> None:
    """The relay knows of silence and just reads "it sounds": without the new "silent" the bell would sound for ever."""
    house.press(1)
    inbox = small(house, shed_at=1)
    sounding, silent = house.report(PENG, 1), house.report(PENG, rev=house.relay._watch.seen[PENG].rev)
    fill(inbox, sounding)
    assert inbox.take(0) == [sounding]
    fill(inbox, *crowd(house, 1), silent)  # while the turn with ``sounding`` waits for its commit
    assert silent in inbox.take(0)


def test_a_report_that_nobody_can_read_is_queued_and_so_refused_with_a_reason(house: House) -> None:
    inbox = small(house, shed_at=1)
    rubbish = house.delivery("reported", b"\xff", device=PENG)
    fill(inbox, *crowd(house, 1), rubbish)
    assert rubbish in inbox.take(0)


def test_retained_reports_are_never_shed(house: House) -> None:
    inbox = small(house, shed_at=1)
    kept = house.report(PENG, rev=house.relay._watch.seen[PENG].rev, retained=True)
    fill(inbox, *crowd(house, 1), kept)
    assert kept in inbox.take(0)


@pytest.mark.parametrize("lane", ["urgent", "reports"])
def test_a_full_lane_makes_whoever_brings_more_wait_and_loses_nothing(house: House, lane: str) -> None:
    inbox = small(house, size=2, shed_at=2)
    items = crowd(house, 3) if lane == "reports" else [house.event(PANEL, "help", n) for n in range(3)]
    bringing = threading.Thread(target=fill, args=(inbox, *items), daemon=True)
    bringing.start()
    taken: list[RelayInput] = []
    while len(taken) < 3:
        assert inbox.lengths()[lane] <= 2
        taken += without_backlog(inbox.take(5.0))
    bringing.join(5.0)
    assert not bringing.is_alive()
    assert taken == items


def test_a_full_lane_of_heartbeats_holds_up_no_press(house: House) -> None:
    inbox = small(house, size=2, shed_at=2)
    fill(inbox, *crowd(house, 2))
    press = house.event(PANEL, "help", 1)
    inbox.put(press)
    assert press in inbox.take(0)


# ---------------------------------------------------------------------------------------------------------------------
# Silence


def heartbeat(house: House, device: str) -> Delivery:
    """One that says nothing new, for the next minute."""
    return house.report(device, rev=house.relay._watch.seen[device].rev, next_in_s=60)


def test_a_shed_heartbeat_is_a_sign_of_life() -> None:
    house = House()
    house.hear(heartbeat(house, PENG), heartbeat(house, WANG))
    for _ in range(6):
        house.advance(60_000)
        house.hear(Backlog(shed=(heartbeat(house, PENG),)))
    house.advance(5_000)
    assert PENG in house.relay._watch.online
    assert WANG not in house.relay._watch.online, "whoever really says nothing is silent all the same"
    assert house.journal(None).count("device_offline") == 1
    assert house.relay.counts["shed.nothing_new"] == 6


def test_a_device_held_silent_is_back_with_a_shed_heartbeat_unless_its_will_is_newer() -> None:
    house = House()
    shed = heartbeat(house, PENG)
    house.hear(shed)
    house.advance(151_000)
    assert PENG not in house.relay._watch.online
    house.hear(Backlog(shed=(shed,)))
    assert PENG in house.relay._watch.online
    house.hear(house.online(PENG, "offline"))
    house.hear(Backlog(shed=(shed,)))
    assert PENG not in house.relay._watch.online


def test_while_reports_wait_unread_nobody_is_held_silent() -> None:
    house = House()
    house.hear(heartbeat(house, PENG))
    house.clock.advance(151_000)
    for _ in range(10):
        house.clock.advance(1_000)
        house.hear(Backlog(waiting=9))
        assert PENG in house.relay._watch.online
    house.advance(2_900)
    assert PENG in house.relay._watch.online
    house.advance(200)
    assert PENG not in house.relay._watch.online


class _Link:
    def alive(self) -> bool:
        return True


def test_a_loop_that_stood_still_holds_nobody_silent_before_it_has_listened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten minutes of a full disk: of 20,000 devices the first turn reads 250, and the others had "kept silent"."""
    house = House()
    house.hear(heartbeat(house, PENG))
    now_s = [1_000.0]
    figures = Figures(lambda: now_s[0])
    rounds: Iterator[bool] = iter([False, False, True])
    stuck = iter([151_000, 0])

    def commit_slowly(store: object, batch: Batch) -> None:
        ms = next(stuck)
        house.clock.advance(ms)
        now_s[0] += ms / 1000

    monkeypatch.setattr(type(house.store), "commit", commit_slowly)
    inbox = Inbox()
    inbox.put(house.event(PANEL, "help", 1))
    assert GAP_S < 151
    assert run_loop(
        house.relay, inbox, stopping=lambda: next(rounds), links=_Link(), alive=lambda: None, figures=figures
    )
    assert PENG in house.relay._watch.online


# ---------------------------------------------------------------------------------------------------------------------
# Being seen


def test_shedding_is_told_at_once_then_once_a_minute_and_on_the_status_page(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("json", "info")
    now_s = [0.0]
    figures = Figures(lambda: now_s[0])
    log = ShedLog(structlog.get_logger("relay"), figures)
    told = []
    for second in range(200):
        now_s[0] = float(second)
        figures.turned(house.hear())
        log.tell([Backlog(shed=(house.report(PENG),), waiting=5)] if second < 100 else [])
        told += [(second, line) for line in capsys.readouterr().err.splitlines() if "heartbeats.shed" in line]
        gauges = house.relay.gauges()
        judged = judge_readiness(figures, gauges, content_auditor(figures.monotonic), link_alive=True)
        assert (Ailment.SHEDDING in judged.warnings) == (second <= 99 + SHED_LOG_S)
    assert [second for second, _ in told] == [0, 60, 120]
    assert [f'"count": {n}' in line for n, (_, line) in zip((1, 60, 39), told, strict=True)] == [True] * 3


def test_a_heartbeat_writes_nothing_and_of_many_only_those_that_changed_something_are_written(house: House) -> None:
    commits = house.store.commits
    for _ in range(20):
        house.hear(*(heartbeat(house, device) for device in (PANEL, *BELLS) for _ in range(20)))
    assert house.store.commits == commits
    house.press(1)
    house.trace.clear()
    turn = house.hear(*(heartbeat(house, device) for device in (PANEL, WANG, "bell-doctor")), house.report(PENG, 1))
    assert house.trace[0] == ("commit", None)
    assert [line.type for line in turn.batch.journal] == ["sounding"]
    assert list(turn.batch.twins) == [PANEL], "the panel shows that it rings, and nobody else's state has changed"


def test_the_loop_never_waits_for_itself() -> None:
    """A notice for which the notifier has no room is its own outcome at once, on the loop's thread: in a full inbox it
    waited for ever for the one who empties it."""
    inbox = small(size=1)
    fill(inbox, LinkUp(1))
    putting = threading.Thread(target=fill, args=(inbox, NoticeDelivered("n", ok=False)), daemon=True)
    putting.start()
    putting.join(10)
    assert not putting.is_alive()
    assert inbox.take(0) == [LinkUp(1), NoticeDelivered("n", ok=False)]
