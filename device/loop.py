"""The real loop around a ``DeviceRuntime``: a bounded queue, the deadlines, the watchdog."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from enum import Enum

import structlog

from device.core.machine import Proof, Trouble
from device.core.renewal import KeyMade
from device.core.role import ChimeStarted, ChimeStopped
from device.ports import Clock, PinEdge, RuntimeInput
from device.runtime import DeviceRuntime
from doorbell.link import LinkEvent
from doorbell.service import ExitCode, ServiceNotifier

MAX_INPUTS = 2_000
"""Inputs that wait: a bouncing contact makes tens of edges, a broker at most some deliveries; more is a broken line."""
MAX_TURN_INPUTS = 200
"""Inputs of one turn, which is one transaction; the rest is the next turn's."""
_FULL_WAIT_S = 0.05
_CHECK_S = 5.0
"""How often the other threads are asked for their proof of life, at least; a watchdog may want it more often."""
_DEAD_AFTER = 2
"""So many checks in a row without proof of life end the process: a line that could not be read once is no death."""

_log = structlog.get_logger("device.loop")


class _Stop(Enum):
    STOP = "stop"


class Inbox:
    """The only way into the runtime's thread. Bounded: an edge that finds it full is dropped (the poll finds the level
    again), the link waits, which holds the broker back.

    Built on ``SimpleQueue``, whose ``put`` may be called by a signal handler; so the bound is asked beforehand.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[RuntimeInput | _Stop] = queue.SimpleQueue()
        self._room = threading.Event()
        self._closed = False
        self.dropped = 0

    def put_edge(self, edge: PinEdge) -> None:
        """From the GPIO library's thread: never blocks."""
        if self._queue.qsize() >= MAX_INPUTS:
            self.dropped += 1
        else:
            self._queue.put(edge)

    def put_link(self, event: LinkEvent) -> None:
        """From the link's thread: waits for room."""
        while self._queue.qsize() >= MAX_INPUTS and not self._closed:
            self._room.wait(_FULL_WAIT_S)
        self._queue.put(event)

    def put_sound(self, event: ChimeStarted | ChimeStopped | Trouble) -> None:
        """From the speaker's thread: a few for each order of ours, so it needs no bound."""
        self._queue.put(event)

    def put_proof(self, proof: Proof) -> None:
        """From the self-test's thread: two for each, one self-test at a time, so it needs no bound."""
        self._queue.put(proof)

    def put_key(self, made: KeyMade) -> None:
        """From the thread that made it: one for each order of ours."""
        self._queue.put(made)

    def stop(self) -> None:
        """From a signal handler, or wherever the end is decided."""
        self._closed = True
        self._queue.put(_Stop.STOP)

    def take(self, timeout_s: float | None) -> tuple[list[RuntimeInput], bool]:
        """What has come, waiting for the first at most ``timeout_s``; and whether to stop after it."""
        taken: list[RuntimeInput] = []
        try:
            item = self._queue.get(timeout=timeout_s)
            while True:
                if isinstance(item, _Stop):
                    return taken, True
                taken.append(item)
                if len(taken) >= MAX_TURN_INPUTS:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        self._room.set()
        self._room.clear()
        return taken, False


def run_device(
    runtime: DeviceRuntime,
    inbox: Inbox,
    clock: Clock,
    *,
    notifier: ServiceNotifier,
    alive: Callable[[], bool],
    after_turn: Callable[[], None],
) -> ExitCode:
    """Turn until told to stop (``OK``) or until something of ours has died (``BUG``: the service manager starts us
    again). ``alive`` is the proof of life of every other thread, asked with and without a watchdog: a bell whose
    speaker has died must not go on saying that it is online."""
    interval_ms = int(min(notifier.watchdog_interval_s() or _CHECK_S, _CHECK_S) * 1000)
    check_at_ms = clock.monotonic_ms()
    dropped = not_alive = 0
    while True:
        now_ms = clock.monotonic_ms()
        if now_ms >= check_at_ms:
            check_at_ms = now_ms + interval_ms
            if alive():
                not_alive = 0
                notifier.watchdog()
            else:
                not_alive += 1
                _log.error("device.not_alive", checks=not_alive)
                if not_alive >= _DEAD_AFTER:
                    return ExitCode.BUG
        deadline = runtime.next_deadline()
        wake_at_ms = check_at_ms if deadline is None else min(deadline, check_at_ms)
        inputs, stop = inbox.take(max(0, wake_at_ms - now_ms) / 1000)
        runtime.turn(inputs, more=len(inputs) >= MAX_TURN_INPUTS)
        after_turn()
        if inbox.dropped != dropped:
            dropped = inbox.dropped
            _log.warning("device.edges_dropped", count=dropped)
        if runtime.fatal is not None:
            _log.error("device.fatal", reason=runtime.fatal)
            return ExitCode.BUG
        if stop:
            return ExitCode.OK
