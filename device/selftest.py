"""The silent daily proof, inside the running daemon: every part on the way of a press is used once, without a sound.

It runs on the thread of whoever asks on the control line and touches nothing that an alarm needs: lines are only read,
the player plays zeros and yields to whatever must be heard, the events go through the outbox like any other. While an
alarm is open it does not begin. Two ``test`` events come of it: a probe, whose receipt proves the way to the relay and
back, and the result (wire contract: "test: what was proven").
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from device.core.machine import DeviceState, Proof
from device.core.role import ButtonName
from device.findings import Finding, Severity, finding_to_json
from device.options import DEFAULT_RECEIPT_S
from device.ports import Clock, Pins, StoreError
from device.runtime import Snapshot
from doorbell.errors import PeerError

TURN_S = 10.0
"""How long the runtime may take to commit the probe: a slow card, and then some."""
MAX_RECEIPT_S = 300
MIN_YEAR = 2024
"""An earlier wall clock has lost its time: this program is younger."""

_log = structlog.get_logger("device.selftest")


class ProvenPins(Pins, Protocol):
    """The pins, with their proof of life."""

    def healthy(self) -> bool:
        """Whether the lines can be read and the threads of light and buzzer run."""
        ...


@dataclass(frozen=True, slots=True)
class Lent:
    """What the daemon lends to a self-test.

    ``put`` hands a proof to the runtime's queue; ``prove_sound`` blocks and answers with a word of ``SoundProof``;
    ``prove_disk`` and ``on_disk`` raise ``StoreError``; ``new_id`` makes a random UUID.
    """

    snapshot: Callable[[], Snapshot]
    state: Callable[[], DeviceState]
    put: Callable[[Proof], None]
    pins: ProvenPins
    clock: Clock
    prove_sound: Callable[[], str]
    prove_disk: Callable[[], None]
    on_disk: Callable[[str], bool]
    new_id: Callable[[], str]


class SelfTest:
    """Answers ``{"do": "selftest", "receipt_s": 20}``; one at a time."""

    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        self._one = threading.Lock()
        self._turned = threading.Condition()
        self._probe: str | None = None
        self._waits = False
        self._receipted = False
        self._put_ms = self._receipt_ms = 0

    def after_turn(self) -> None:
        """To be called after every turn, on the runtime's thread: follows the probe through the outbox."""
        with self._turned:
            if self._probe is None:
                return
            waits = any(one.row.id == self._probe for one in self._lent.state().outbox.waiting)
            # Only a receipt takes a probe out again: there is one probe at a time, so none overtakes it.
            if self._waits and not waits:
                self._receipted, self._receipt_ms = True, self._lent.clock.monotonic_ms() - self._put_ms
            self._waits = waits
            self._turned.notify_all()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """All findings, or ``{"busy": true, "stage": ...}``. ``PeerError`` for a request that is none."""
        receipt_s = request.get("receipt_s", DEFAULT_RECEIPT_S)
        if not isinstance(receipt_s, int) or not 1 <= receipt_s <= MAX_RECEIPT_S:
            raise PeerError("invalid", f"receipt_s: {receipt_s!r} is not a whole number from 1 to {MAX_RECEIPT_S}")
        if not self._one.acquire(blocking=False):
            return {"busy": True, "stage": "selftest"}
        try:
            snapshot = self._lent.snapshot()
            if is_busy(snapshot):
                return {"busy": True, "stage": snapshot.stage}
            findings = list(self._findings(receipt_s))
        finally:
            self._one.release()
        event_id = self._lent.new_id()
        self._lent.put(Proof(event_id, result_detail(findings)))
        bad = [one.key for one in findings if one.severity in (Severity.WARNING, Severity.FAILURE)]
        _log.info("selftest.done", id=event_id, proven=len(findings) - len(bad), bad=bad)
        return {"busy": False, "event": event_id, "findings": [finding_to_json(one) for one in findings]}

    def _findings(self, receipt_s: int) -> Iterator[Finding]:
        probe = self._lent.new_id()
        with self._turned:
            self._probe, self._waits, self._receipted = probe, False, False
            self._put_ms = self._lent.clock.monotonic_ms()
        try:
            self._lent.put(Proof(probe, {"of": "probe"}))
            yield self._outbox(probe)
            yield from self._buttons()
            yield self._light()
            yield self._sound()
            yield self._clock()
            yield from self._way(receipt_s)
            yield self._pair()
        finally:
            with self._turned:
                self._probe = None

    def _outbox(self, probe: str) -> Finding:
        """On the real disk: a page of its own, and the probe in the outbox."""
        lent = self._lent
        with self._turned:
            taken = self._turned.wait_for(lambda: self._waits or self._receipted, timeout=TURN_S)
        try:
            lent.prove_disk()
            on_disk = lent.on_disk(probe)
        except StoreError as error:
            return Finding("outbox", "refused", Severity.FAILURE, {"reason": str(error)})
        with self._turned:
            on_disk = on_disk or self._receipted  # committed before it was sent, and forgotten since
        if not taken or not on_disk or ("outbox_failed", "disk") in lent.state().faults:
            return Finding("outbox", "not_written", Severity.FAILURE)
        return Finding("outbox", "written", Severity.OK)

    def _buttons(self) -> Iterator[Finding]:
        for name in self._lent.pins.fitted():
            yield Finding("button", *self._button(name), {"button": name.value})

    def _button(self, name: ButtonName) -> tuple[str, Severity]:
        level = self._lent.pins.level(name)
        if level is None:
            return "unreadable", Severity.FAILURE
        if ("button_stuck", name) in self._lent.state().faults:
            return "stuck", Severity.FAILURE
        return ("down", Severity.WARNING) if level else ("readable", Severity.OK)

    def _light(self) -> Finding:
        alive = self._lent.pins.healthy()
        return Finding("light", "alive", Severity.OK) if alive else Finding("light", "dead", Severity.FAILURE)

    def _sound(self) -> Finding:
        told = {
            "played": Severity.OK,
            "failed": Severity.FAILURE,
            "overtaken": Severity.NOTE,
            "no_player": Severity.NOTE,
        }
        proof = self._lent.prove_sound()
        return Finding("sound", proof, told[proof])

    def _clock(self) -> Finding:
        year = self._lent.clock.wall().year
        if year < MIN_YEAR:
            return Finding("clock", "lost", Severity.FAILURE, {"year": year})
        return (
            Finding("clock", "synced", Severity.OK, {"year": year})
            if self._lent.clock.synced()
            else Finding("clock", "unsynced", Severity.WARNING, {"year": year})
        )

    def _way(self, receipt_s: int) -> Iterator[Finding]:
        """To the relay and back: the link, and the probe's receipt."""
        with self._turned:
            receipted = self._turned.wait_for(lambda: self._receipted, timeout=receipt_s)
        if not receipted and not self._lent.state().twin.connected:
            yield Finding("broker", "link_down", Severity.FAILURE)
            yield Finding("relay", "not_asked", Severity.NOTE)
            return
        yield Finding("broker", "link_up", Severity.OK)
        yield (
            Finding("relay", "receipted", Severity.OK, {"waited_ms": self._receipt_ms})
            if receipted
            else Finding("relay", "no_receipt", Severity.FAILURE, {"within_s": receipt_s})
        )

    def _pair(self) -> Finding:
        desired = self._lent.state().twin.desired
        if desired is None:
            return Finding("pair", "unknown", Severity.WARNING)
        if not desired.peers:
            return Finding("pair", "none", Severity.WARNING)
        return Finding("pair", "known", Severity.OK, {"peers": list(desired.peers)})


def is_busy(snapshot: Snapshot) -> bool:
    """Whether an alarm is open here: a self-test must wait until it is over."""
    return snapshot.stage != "idle" or bool(snapshot.sounding)


def result_detail(findings: list[Finding]) -> dict[str, Any]:
    """What the relay is told: which checks proved what, by their names, each with the ids it is about."""
    told: dict[str, list[str]] = {"proven": [], "not_proven": []}
    for one in findings:
        subject = f" {one.data['button']}" if "button" in one.data else ""
        told["proven" if one.severity is Severity.OK else "not_proven"].append(one.key + subject)
    waited = next((one.data["waited_ms"] for one in findings if one.code == "receipted"), None)
    return {"of": "selftest", **told, "receipt_ms": waited}
