"""A link with its events in a queue, for tests that wait on conditions."""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from doorbell.broker_order import Need
from doorbell.clock_doubt import ClockDoubt
from doorbell.link import Delivery, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.mqtt import MqttLink, needs_nothing
from doorbell.settings import MqttSettings

E = TypeVar("E", LinkUp, LinkDown, LinkDied, Delivery)

WITHIN_S = 20.0
"""Bound of every wait. Most conditions hold within milliseconds, the embedded broker redelivers within five seconds."""


def fast_settings(port: int) -> MqttSettings:
    """Loopback, with a back-off that does not make tests wait."""
    return MqttSettings(port=port, backoff_min_s=0.02, backoff_max_s=0.05)


class LinkProbe:
    """A started link. ``expect`` takes events from the queue until one fits; what it passed is in ``passed``."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str = "probe",
        subscriptions: Sequence[tuple[str, int]] = (),
        *,
        clean_session: bool = True,
        presence_topic: str | None = None,
        sink: Callable[[LinkEvent], None] | None = None,
        doubt: ClockDoubt | None = None,
        need: Callable[[], Need] = needs_nothing,
        patient: bool = False,
    ) -> None:
        self.events: queue.Queue[LinkEvent] = queue.Queue()
        self.passed: list[LinkEvent] = []
        self.link = MqttLink(
            settings,
            client_id=client_id,
            subscriptions=subscriptions,
            sink=sink or self.events.put,
            clean_session=clean_session,
            presence_topic=presence_topic,
            doubt=doubt,
            need=need,
            patient=patient,
        )
        self.link.start()

    def expect(self, kind: type[E], fits: Callable[[E], bool] = lambda _event: True) -> E:
        """The next event of a kind that fits."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                event = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind.__name__} that fits came; but: {self.passed[-10:]}") from None
            if isinstance(event, kind) and fits(event):
                return event
            self.passed.append(event)

    def expect_next(self, kind: type[E]) -> E:
        """The very next event, which must be of this kind."""
        event = self.events.get(timeout=WITHIN_S)
        assert isinstance(event, kind), event
        return event

    def message(self, topic: str, payload: bytes) -> Delivery:
        """The next delivery of just this."""
        return self.expect(Delivery, lambda delivery: (delivery.topic, delivery.payload) == (topic, payload))


@contextmanager
def probing(*args: object, **options: object) -> Iterator[LinkProbe]:
    """A ``LinkProbe`` that is up, and is stopped at the end."""
    probe = LinkProbe(*args, **options)  # type: ignore[arg-type]
    try:
        probe.expect(LinkUp)
        yield probe
    finally:
        probe.link.stop(2.0)
