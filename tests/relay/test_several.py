"""Several relays on one database: who serves, what happens when one dies or is stopped; nobody is rung twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorbell.errors import SetupError
from doorbell.link import LinkDown, LinkUp
from relay.core.alarm import Outcome
from relay.ports import NoticeDelivered, StoreError
from tests.relay.doubles import PANEL, PENG, WANG, C, neighbourhood, uid
from tests.relay.posts import TIMES, Posts, two_posts

FAILOVER_MS = 10_000
"""Within this every community of a dead relay is served again (wire contract)."""


@pytest.fixture
def posts() -> Posts:
    return two_posts()


def press(posts: Posts, number: int = 1, **more: Any) -> None:
    posts.hear(posts["one"].event(PANEL, "help", number, **more))


def test_the_holder_alone_answers_a_press_and_the_other_is_silent(posts: Posts) -> None:
    press(posts)
    assert (posts["one"].wrote(), posts["two"].wrote()) == ([PENG, PANEL], [])
    assert posts["two"].relay.counts["event.elsewhere"] == 1
    assert posts["one"].panel() == ("received", None)


def test_both_acknowledge_to_the_broker_what_the_holder_has_committed(posts: Posts) -> None:
    delivery = posts["one"].event(PANEL, "help", 1)
    posts.hear(delivery)
    for post in posts.posts.values():
        assert ("ack", delivery.mid) in post.link.trace


def test_a_dead_relays_alarm_goes_on_elsewhere_in_time_with_its_deadline(posts: Posts) -> None:
    """The first bell was to ring 45 s; whoever serves then rings the second at this very moment."""
    press(posts)
    posts.hear(posts["one"].report(PENG, 1))
    posts.hear(posts["one"].report(PANEL))
    posts["one"].paused = True
    posts.run(FAILOVER_MS)
    assert posts["two"].held.fences.keys() == {C, "far"}
    assert posts["two"].wrote() == [], "nothing has changed for anybody"
    posts.run(45_000 - FAILOVER_MS - 1)
    assert posts["two"].wrote() == []
    posts.run(1)
    assert posts["two"].rings(WANG) == [(uid(1), "ringing")]


def test_a_press_that_only_the_dying_relay_could_have_committed_waits_for_no_device(posts: Posts) -> None:
    """The broker has given it to both; the one that is left had put it aside, and answers when it takes over."""
    posts["one"].paused = True
    press(posts, 1)
    assert posts.store.events == {}
    posts.run(FAILOVER_MS)
    assert posts["two"].panel() == ("received", None)
    raised = posts.store.alarms()[0].raised_at
    assert raised == posts["two"].clock.wall - _ms(FAILOVER_MS), "the moment at which she pressed"


def test_a_press_of_an_unsynchronised_panel_is_dated_by_its_age_when_it_is_taken_over(posts: Posts) -> None:
    posts["one"].paused = True
    press(posts, 1, age_ms=500, clock="unsynced")
    posts.run(FAILOVER_MS)
    raised = posts.store.alarms()[0].raised_at
    assert raised == posts["two"].clock.wall - _ms(FAILOVER_MS + 500)


def test_what_is_put_aside_is_answered_in_the_order_in_which_it_was_said(posts: Posts) -> None:
    """It was in the order of the last copies: who had handed the alarm back was shown as coming after the failover."""
    press(posts)
    posts["one"].paused = True
    bell = posts["two"]
    posts.hear(bell.event(PENG, "accept", 2, alarm=1))
    posts.run(3_000)
    posts.hear(bell.event(PENG, "decline", 3, alarm=1))
    posts.run(2_000)
    posts.hear(bell.event(PENG, "accept", 2, alarm=1, age_ms=5_000))
    posts.run(FAILOVER_MS)
    assert posts["two"].panel() == ("received", None)
    assert posts.store.events[uid(3)].verdict == "applied"


def test_what_is_put_aside_is_answered_once_whatever_the_device_sends_again(posts: Posts) -> None:
    posts["one"].paused = True
    for age_ms in (0, 2_000, 6_000):
        press(posts, 1, age_ms=age_ms)
    posts.run(FAILOVER_MS)
    press(posts, 1, age_ms=14_000)
    assert posts.store.alarms()[0].presses == 1
    assert [line.type for line in posts.store.journal(alarm=uid(1))].count("raised") == 1


def test_a_relay_stopped_in_mid_alarm_cannot_write_after_another_has_taken_over(posts: Posts) -> None:
    """Stopped between its decision and its commit: the database refuses it, and nothing of the turn is published."""
    press(posts)
    posts.hear(posts["one"].report(PENG, 1))
    stale = posts["one"].relay.decide([posts["one"].event(PENG, "accept", 2, alarm=1)])
    posts["one"].paused = True
    posts["one"].wrote()
    posts.run(60_000)
    assert posts["two"].rings(WANG) == [(uid(1), "ringing")]
    lines = len(list(posts.store.journal()))
    with pytest.raises(StoreError) as refused:
        posts["one"].relay.perform(stale)
    assert not refused.value.retryable
    assert posts["one"].wrote() == []
    assert len(list(posts.store.journal())) == lines
    posts["one"].paused = False
    posts.run(30_000)
    assert [posts[name].relay.counts["lease.lost"] for name in ("one", "two")] == [1, 0]
    assert len(posts.holders(C)) == 1
    steps = [line.data["step"] for line in posts.store.journal(alarm=uid(1)) if line.type == "step_started"]
    assert steps == [1, 2, 3], "no step began twice"


def test_a_refused_turn_is_decided_anew_and_the_answer_in_it_is_not_lost(posts: Posts) -> None:
    """``one`` is stopped with an answer and a press decided; it wakes, is refused, and says who holds them now."""
    press(posts)
    answer = posts["one"].event(PENG, "accept", 2, alarm=1)
    posts["two"].inbox.append(answer)
    posts.store.commit = _stopping(posts)  # type: ignore[method-assign]
    with capture_logs() as logs:
        posts["one"].inbox.append(answer)
        posts["one"].live()
    assert [line["event"] for line in logs if line["event"] == "write.refused"] == ["write.refused"]
    assert posts["one"].relay.counts["lease.refused"] == 1
    assert posts["two"].panel() == ("accepted", "彭小平")
    assert C not in posts["one"].held


def _stopping(posts: Posts) -> Callable[..., None]:
    """A commit during which its process is stopped for a minute."""
    real = posts.store.commit

    def commit(batch: Any) -> None:
        posts.store.commit = real  # type: ignore[method-assign]
        posts["one"].paused = True
        posts.run(60_000)
        posts["one"].paused = False
        real(batch)

    return commit


def test_what_was_committed_but_not_yet_said_is_said_by_the_next_holder_alone(posts: Posts) -> None:
    """Stopped between commit and publish: what the stale one would say now could overtake what was said since."""
    turn = posts["one"].relay.decide([posts["one"].event(PANEL, "help", 1)])
    real = posts.store.commit

    def commit(batch: Any) -> None:
        posts.store.commit = real  # type: ignore[method-assign]
        real(batch)
        posts["one"].paused = True
        posts.run(20_000)
        posts["one"].paused = False

    posts.store.commit = commit  # type: ignore[method-assign]
    with capture_logs() as logs:
        posts["one"].relay.perform(turn)
    assert [line["event"] for line in logs if line["event"] == "turn.silent"] == ["turn.silent"]
    assert posts["one"].wrote() == []
    assert posts["two"].panel() == ("received", None)
    assert posts["two"].rings(PENG) == [(uid(1), "ringing")]


def desired(posts: Posts, device: str, rev: int) -> Any:
    return posts["one"].delivery("desired", f'{{"rev": {rev}}}', device=device)


def test_a_late_word_of_a_relay_that_was_stopped_is_said_over_at_the_broker(posts: Posts) -> None:
    """It had left its process before the stop, and comes after the new holder's: a device that starts shows it."""
    press(posts)
    posts["one"].paused = True
    posts.run(FAILOVER_MS)
    posts["two"].wrote()
    posts.hear(desired(posts, PENG, posts["two"].rev(PENG) - 1))
    posts.run(999)
    assert posts["two"].wrote() == []
    posts.run(1)
    assert posts["two"].wrote() == [PENG]
    assert posts["two"].relay.counts["desired.overtaken"] == 1


def test_ones_own_words_come_back_in_their_order_and_are_not_repeated(posts: Posts) -> None:
    press(posts)
    posts["one"].wrote()
    newest = posts["one"].rev(PANEL)
    posts.hear(desired(posts, PANEL, newest - 1))
    posts.hear(desired(posts, PANEL, newest))
    posts.hear(desired(posts, "nobody", 3), desired(posts, "bell-far", 0))
    posts.run(3_000)
    assert posts["one"].wrote() == []


def test_a_commit_that_took_long_but_lost_nothing_is_said_a_beat_later(posts: Posts) -> None:
    turn = posts["one"].relay.decide([posts["one"].event(PANEL, "help", 1)])
    posts["one"].clock.advance(TIMES.expire_ms - TIMES.margin_ms)
    posts["one"].relay.perform(turn)
    assert posts["one"].wrote() == []
    posts["one"].live()
    assert posts["one"].wrote() == [PENG, PANEL]


def test_a_notice_that_may_not_be_sent_now_waits_and_does_not_keep_the_relay_awake(posts: Posts) -> None:
    """Its database takes no writes any more, so its lease has run out: it looks once a second, and sends it later."""
    one = posts["one"]
    press(posts)
    while not one.notifier.sent:
        posts.run(1_000)
    notice = one.notifier.sent[-1]
    one.notifier.sent.clear()
    one.inbox.append(NoticeDelivered(notice.id, ok=False, detail="HTTP 502"))
    posts.run(0)
    posts["two"].paused = True
    leases, one.desk._store = one.desk._store, _Unreachable()
    one.clock.advance(TIMES.expire_ms)
    with capture_logs() as logs:
        for _ in range(20):
            one.live()
            assert one.due_in_ms() > 0, "it turns again at once, for ever"
            one.clock.advance(one.due_in_ms())
    assert "turn.silent" in [line["event"] for line in logs]
    assert one.notifier.sent == []
    one.desk._store = leases
    for _ in range(5):
        one.live()
        one.clock.advance(one.due_in_ms())
    assert [sent.id for sent in one.notifier.sent] == [notice.id]


def test_a_relay_that_comes_gets_its_share_and_no_press_is_lost_on_the_way() -> None:
    posts = Posts(neighbourhood(), "one")
    posts.run(5_000)
    assert posts.holders(C) == posts.holders("far") == ["one"]
    posts.add("two")
    moved = 0
    for number in range(1, 101):
        before = posts.holders(C)
        press(posts, number)
        posts.run(100)
        moved += posts.holders(C) != before
    assert moved >= 1
    assert sorted(posts.holders(C) + posts.holders("far")) == ["one", "two"]
    assert posts.store.events.keys() >= {uid(number) for number in range(1, 101)}
    assert posts.store.alarms()[0].presses == 100
    assert posts["one"].relay.counts["lease.lost"] == 0


def test_a_relay_that_is_stopped_in_good_order_hands_over_within_a_beat(posts: Posts) -> None:
    press(posts)
    posts["one"].desk.leave()
    posts["one"].paused = True
    posts.run(TIMES.beat_ms)
    assert posts["two"].held.fences.keys() == {C, "far"}


def test_one_cut_off_from_the_broker_gives_its_communities_to_one_that_is_not(posts: Posts) -> None:
    posts.deaf.add("one")
    posts["one"].inbox.append(LinkDown("cut"))
    press(posts)
    posts.run(FAILOVER_MS)
    assert posts.holders(C) == ["two"]
    assert posts["two"].panel() == ("received", None)


def test_one_that_the_broker_does_not_answer_gives_its_communities_though_its_connection_stands(posts: Posts) -> None:
    posts.deaf.add("one")
    posts["one"].unheard_from_ms = posts["one"].clock.mono_ms
    press(posts)
    posts.run(FAILOVER_MS)
    assert posts.holders(C) == ["two"]
    assert posts["two"].panel() == ("received", None)


def test_one_cut_off_from_the_database_is_overtaken_and_told_so_when_it_is_back(posts: Posts) -> None:
    press(posts)
    cut = _Cut(posts)
    posts.hear(posts["one"].report(PENG, 1), posts["one"].event(PENG, "accept", 2, alarm=1))
    posts.run(FAILOVER_MS)
    assert posts["two"].panel() == ("accepted", "彭小平")
    posts["one"].wrote()
    cut.mend()
    posts.run(TIMES.beat_ms)
    assert posts["one"].wrote() == []
    assert len(posts.holders(C)) == 1
    assert posts["one"].relay.counts["lease.lost"] == 1


class _Cut:
    """The way from ``one`` to the database is gone."""

    def __init__(self, posts: Posts) -> None:
        self._store, self._post = posts.store, posts["one"]
        broken = _Unreachable()
        self._post.relay._store = broken
        self._post.relay._news._store = broken
        self._post.relay._custody._store = broken
        self._post.desk._store = broken

    def mend(self) -> None:
        self._post.relay._store = self._store
        self._post.relay._news._store = self._store
        self._post.relay._custody._store = self._store
        self._post.desk._store = self._store.leases


class _Unreachable:
    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise StoreError("no route to host", retryable=True)

        return fail


def test_the_broker_gone_for_all_moves_nothing(posts: Posts) -> None:
    press(posts)
    posts.hear(posts["one"].report(PENG, 1))
    for post in posts.posts.values():
        post.inbox.append(LinkDown("the broker is down"))
        post.link.up = False
    posts.run(50_000)
    assert (posts.holders(C), posts.holders("far")) == (["one"], ["two"])
    assert posts["one"].relay.counts["alarm.step_started"] == 2, "time passes"
    for post in posts.posts.values():
        post.link.up = True
        post.inbox.append(LinkUp(2))
    posts.run(0)
    assert posts["one"].rings(WANG) == [(uid(1), "ringing")]


def test_a_command_of_the_office_is_done_by_the_holder_alone(posts: Posts) -> None:
    press(posts)
    command = posts.store.add_command(uid(1), Outcome.HOSPITAL, "", "office")
    posts["one"].paused = True
    posts.run(3_000)
    assert posts.store.command_result(command) is None, "the other one leaves it to the holder"
    posts["one"].paused = False
    posts.run(1_000)
    assert posts.store.command_result(command) == "applied"


def test_a_command_about_no_open_alarm_is_answered_by_anybody(posts: Posts) -> None:
    command = posts.store.add_command(uid(9), Outcome.HELPED, "", "office")
    posts.run(1_000)
    assert posts.store.command_result(command) == "not_open"


def test_rubbish_is_kept_once_by_whoever_serves_the_community_or_the_first_of_all(posts: Posts) -> None:
    posts.hear(
        posts["one"].delivery("event", b"{", device=PANEL),
        posts["one"].event("button-nobody", "help", 5),
        posts["one"].delivery("doorbell/v1/nowhere/x/event", b"{}"),
        posts["one"].delivery("doorbell/v1/rubbish", b"{}"),
    )
    assert len(posts.store.rejected()) == 4


def test_two_relays_under_one_name_end_with_one_that_says_so(posts: Posts) -> None:
    """The older one ends, for good; the newer one has everything."""
    again = posts.add("again")
    again.name = "one"
    again.boot()
    again.inbox.append(LinkUp(1))
    again.live()
    with pytest.raises(SetupError, match="under the name 'one'"):
        posts.run(TIMES.beat_ms)
    assert posts["one"].held.fences == {}


def _ms(ms: int) -> Any:
    return timedelta(milliseconds=ms)
