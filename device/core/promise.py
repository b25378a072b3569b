"""What a panel has been told directly, by bells, while the relay does not know it: who comes, and what is over. Pure.

A bell that accepts tells the panel itself. That is a person's word, so the elder may hear it; and it is a word with an
end. It is believed for ``arrive_ms``, until the bell takes it back, or until the relay, which decides, knows the press
and says what it makes of it. A relay that has just come back may have heard the press and not yet the acceptance: for
``merge_ms`` the direct word outweighs a ``ringing``, so that nobody is told "coming" twice with a doubt in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from device.core.peer import PeerLimits
from device.core.role import PeerSaid
from doorbell.wire import Event, EventType, PanelAlarm, Stage


@dataclass(frozen=True, slots=True)
class Promise:
    """``bell`` has said that its person comes to ``alarm``. ``since_ms``: when it was said, monotonic."""

    alarm: str
    bell: str
    since_ms: int
    event: Event
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class DirectWord:
    """``promise``: who comes; ``claimed``: bells that have said so at any time, each with the count (``seq``) of its
    newest word.

    ``over``: presses (and the alarm) that a helper has finished. ``calm``: presses that the elder has taken back; they
    call no bell directly any more. ``judged_ms``: until when all of that still outweighs a relay that knows the press
    and says otherwise; None while the relay does not know it.
    """

    promise: Promise | None = None
    claimed: tuple[tuple[str, int | None], ...] = ()
    over: frozenset[str] = frozenset()
    calm: frozenset[str] = frozenset()
    judged_ms: int | None = None


NOTHING_SAID = DirectWord()


def hear_bell(
    word: DirectWord, said: PeerSaid, presses: Sequence[tuple[str, int]], alarm: PanelAlarm | None, now_ms: int,
    limits: PeerLimits,
) -> tuple[DirectWord, str | None]:  # fmt: skip
    """Take in what a paired bell says; with the reason if it changes nothing.

    ``presses``: those without a receipt, with their monotonic ms; ``alarm``: the open alarm as the relay has named it.
    """
    bell, event = said.other, said.event
    waiting = frozenset(press for press, _ in presses)
    if event.alarm is None or event.alarm not in waiting | {alarm.id if alarm is not None else ""}:
        return word, "peer_of_no_press"
    said_ms = now_ms - event.age_ms
    promise = word.promise
    claimed = dict(word.claimed)
    if (newest := claimed.get(bell)) is not None and event.seq is not None and event.seq < newest:
        return word, "peer_too_old"
    if event.seq is not None and event.seq == newest and (promise is None or promise.event.id != event.id):
        return word, "peer_too_old"  # its end is known already
    newer = tuple({**claimed, bell: event.seq}.items())
    match event.type:
        case EventType.ACCEPT:
            if promise is not None and (promise.bell, promise.event.id) == (bell, event.id):
                # A copy that waited in a broker counts that wait nowhere: the copy that waited least dates the word.
                earlier = replace(promise, since_ms=min(promise.since_ms, said_ms))
                return replace(word, promise=earlier), "peer_repeated"
            if promise is not None and _stands(promise, now_ms, limits):
                return word, "peer_second_claim"
            if now_ms - said_ms >= limits.arrive_ms or event.alarm in word.over:
                return word, "peer_too_old"
            if not waiting and alarm is not None and alarm.stage in (Stage.ACCEPTED, Stage.ARRIVED):
                return word, "peer_relay_knows"
            promise = Promise(event.alarm, bell, said_ms, event)
            return replace(word, promise=promise, claimed=newer, judged_ms=None), None
        case EventType.DECLINE | EventType.DONE if bell not in claimed:
            return word, "peer_without_claim"
        case EventType.DECLINE if promise is None or promise.bell != bell:
            return word, "peer_without_promise"
        case EventType.DECLINE:
            return replace(word, promise=None, claimed=newer), None
        case EventType.DONE:
            # The relay counts a press to the alarm that is open: what finishes the one finishes the other.
            finished = {event.alarm, *_before(said, presses, said_ms)} | ({alarm.id} if alarm is not None else set())
            return replace(word, promise=None, claimed=newer, over=word.over | finished), None
        case _:
            return word, "peer_says_nothing_to_a_panel"


def _before(said: PeerSaid, presses: Sequence[tuple[str, int]], said_ms: int) -> Iterable[str]:
    """The presses that a helper has finished: a newer one is a new call, and where nobody can tell, each is one."""
    if said.under_way_ms is None:
        return ()
    return (press for press, at_ms in presses if at_ms <= said_ms - said.under_way_ms)


def hear_press(word: DirectWord, presses: Sequence[tuple[str, int]]) -> DirectWord:
    """The help button again, after the helper had arrived: a new call for help, whatever was before is over."""
    if word.promise is None or not word.promise.arrived:
        return word
    return replace(word, promise=None, over=word.over.union((word.promise.alarm,), (press for press, _ in presses)))


def hear_ok(word: DirectWord, presses: Sequence[tuple[str, int]], now_ms: int, limits: PeerLimits) -> DirectWord:
    """The elder's green button: my helper is here, or else: no bell need ring for these presses any more."""
    if word.promise is not None and _stands(word.promise, now_ms, limits):
        return replace(word, promise=replace(word.promise, arrived=True))
    return replace(word, calm=word.calm.union(press for press, _ in presses))


def hear_relay(
    word: DirectWord, alarm: PanelAlarm | None, presses: Sequence[tuple[str, int]], now_ms: int, limits: PeerLimits
) -> DirectWord:
    """A new desired has come. As long as a press has no receipt the relay has not heard it, and says nothing of it."""
    if word == NOTHING_SAID:
        return word
    left = frozenset(press for press, _ in presses)
    if left:
        return replace(word, over=word.over & (left | {alarm.id if alarm else ""}), calm=word.calm & left)
    agrees = alarm is None or (word.promise is not None and alarm.stage in (Stage.ACCEPTED, Stage.ARRIVED))
    if agrees:
        return NOTHING_SAID
    return word if word.judged_ms is not None else replace(word, judged_ms=now_ms + limits.merge_ms)


def word_now(word: DirectWord, now_ms: int, limits: PeerLimits) -> DirectWord:
    """What of it still holds at this moment."""
    if word.judged_ms is not None and now_ms >= word.judged_ms:
        return NOTHING_SAID
    if word.promise is not None and not _stands(word.promise, now_ms, limits):
        return replace(word, promise=None)
    return word


def word_deadline(word: DirectWord, limits: PeerLimits) -> int | None:
    """The monotonic ms at which ``word_now`` changes it, or None."""
    promise = word.promise
    ends_ms = None if promise is None or promise.arrived else promise.since_ms + limits.arrive_ms
    return min((at for at in (word.judged_ms, ends_ms) if at is not None), default=None)


def _stands(promise: Promise, now_ms: int, limits: PeerLimits) -> bool:
    return promise.arrived or now_ms - promise.since_ms < limits.arrive_ms
