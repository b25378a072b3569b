"""The programme of a speaker: what comes after what, several alarms told apart, answers in between."""

from __future__ import annotations

import pytest

from device.core.effects import Play
from device.core.signals import Call, Phrase, Tone, Words
from device.sounds.programme import (
    FULL_AFTER_S,
    MAX_ANSWERS,
    Announce,
    Answer,
    Count,
    DingDong,
    Item,
    Programme,
    Wake,
    ring_share,
)

A, B, C = (Call(f"alarm-{one}", f"奶奶{one}") for one in "abc")
PRESSED = Play(Tone.HEARD, Words(Phrase.HEARD))


def played(programme: Programme, items: int) -> list[Item | None]:
    return [programme.next() for _ in range(items)]


def test_a_ring_begins_with_ding_dong_and_who_and_wakes_and_names_again() -> None:
    programme = Programme()
    assert programme.ring((A,))
    assert played(programme, 10) == [DingDong(), Announce(A), *[Wake()] * 3, Announce(A), *[Wake()] * 3, Announce(A)]


def test_a_new_call_interrupts_with_ding_dong_and_its_own_name_and_how_many_there_are() -> None:
    programme = Programme()
    programme.ring((A,))
    played(programme, 4)
    assert programme.ring((A, B))
    assert played(programme, 3) == [DingDong(), Announce(B), Count(2)]
    assert played(programme, 6) == [*[Wake()] * 3, Announce(A), Announce(B), Count(2)]


def test_many_calls_are_named_in_turn() -> None:
    programme = Programme()
    programme.ring((A, B, C))
    assert played(programme, 4) == [DingDong(), Announce(A), Announce(B), Count(3)]
    rounds = [played(programme, 6)[3:5] for _ in range(3)]
    assert rounds == [[Announce(A), Announce(B)], [Announce(C), Announce(A)], [Announce(B), Announce(C)]]


def test_an_answered_call_is_not_named_again_and_the_others_go_on() -> None:
    programme = Programme()
    programme.ring((A, B))
    played(programme, 1)
    assert not programme.ring((B,))
    assert played(programme, 2) == [Announce(B), Count(2)]
    assert all(item != Announce(A) for item in played(programme, 20))


def test_a_call_that_is_being_named_when_it_is_answered_is_cut_off() -> None:
    programme = Programme()
    programme.ring((A, B))
    assert played(programme, 2)[-1] == Announce(A)
    assert programme.ring((B,))


def test_the_last_answer_ends_everything_at_once() -> None:
    programme = Programme()
    programme.ring((A,))
    played(programme, 3)
    assert programme.ring(())
    assert programme.next() is None
    assert not programme.waits()


def test_an_answer_is_played_in_between_and_then_the_call_that_is_now_first() -> None:
    programme = Programme()
    programme.ring((A, B))
    played(programme, 5)
    programme.ring((B,))
    go = Play(Tone.HEARD, Words(Phrase.GO, label="奶奶a"))
    assert programme.tell(go)
    assert played(programme, 2) == [Answer(go), Announce(B)]


def test_answers_while_it_rings_come_in_their_order_and_have_a_limit() -> None:
    programme = Programme()
    programme.ring((A,))
    notices = [Play(Tone.NOTICE, Words(Phrase.TAKEN, who=str(i))) for i in range(MAX_ANSWERS + 3)]
    for notice in notices:
        programme.tell(notice)
    assert played(programme, MAX_ANSWERS) == [Answer(one) for one in notices[-MAX_ANSWERS:]]
    assert programme.next() == DingDong()


def test_an_answer_outlives_a_new_call() -> None:
    programme = Programme()
    programme.ring((A,))
    programme.tell(PRESSED)
    assert programme.ring((A, B))
    assert played(programme, 2) == [Answer(PRESSED), DingDong()]


def test_without_a_ring_the_newest_takes_the_place_of_what_plays() -> None:
    programme = Programme()
    received, ringing = Play(Tone.RECEIVED), Play(Tone.RINGING)
    assert programme.tell(received)
    assert programme.next() == Answer(received)
    assert programme.tell(ringing)
    assert played(programme, 2) == [Answer(ringing), None]


def test_the_answer_to_a_press_is_said_to_its_end_unless_there_is_another_press() -> None:
    programme = Programme()
    received, ringing = Play(Tone.RECEIVED), Play(Tone.RINGING)
    assert programme.tell(PRESSED)
    assert programme.next() == Answer(PRESSED)
    assert not programme.tell(received)
    assert not programme.tell(ringing)
    assert programme.tell(PRESSED)
    assert programme.next() == Answer(PRESSED)
    assert not programme.tell(ringing)
    assert played(programme, 2) == [Answer(ringing), None]


def test_a_ring_takes_the_place_of_what_is_told_and_a_stale_notice_is_forgotten() -> None:
    programme = Programme()
    programme.tell(PRESSED)
    programme.next()
    programme.tell(Play(Tone.RECEIVED))
    assert programme.ring((A,))
    assert programme.next() == DingDong()
    programme.tell(PRESSED)
    programme.forget_notices()
    assert programme.next() == Announce(A)


@pytest.mark.parametrize(("rung_s", "share"), [(0, 0.6), (15, 0.8), (FULL_AFTER_S, 1.0), (3_600, 1.0)])
def test_a_ring_rises(rung_s: float, share: float) -> None:
    assert ring_share(rung_s) == pytest.approx(share)
