"""Watches when certificates end: the relay's own, those it trusts, and those that the brokers show.

On a thread of its own, from the start and then every hour. It reads the files and makes a TLS handshake with each
broker, without a word of MQTT: so it sees what a broker shows now and not at the last connect, and also what has ended
already. What it finds it writes into the figures, and once a day into the log from ``TOLD_DAYS`` on.

Where the wall clock is provably wrong (``doorbell.clock_doubt``) days are counted from the latest moment that has
surely passed, so that a clock ahead of all times alarms nobody; and that the clock is wrong is told as loudly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import floor, inf
from pathlib import Path

import structlog

from doorbell.broker_choice import name_of
from doorbell.certificates import Validity, read_validities, validity_of
from doorbell.clock_doubt import ClockDoubt
from doorbell.dial import ask_chain
from doorbell.errors import SetupError
from doorbell.logs import LogOnce
from doorbell.ntp import clock_is_synced
from doorbell.reasons import explain_error
from doorbell.settings import MqttSettings
from doorbell.wire import format_time
from relay.figures import CertificateEnds, Figures, Whose
from relay.looker import Looker

LOOK_S = 3600.0
"""A renewed certificate must not be told of for long as one that ends; a look is one handshake with each broker."""
LOOK_AGAIN_S = 60.0
"""While something could not be seen: a broker starts together with its relay."""
TOLD_DAYS = 60
TELL_EVERY_S = 86_400.0
_DAY = timedelta(days=1)

Show = Callable[[MqttSettings, float], tuple[bytes, ...]]
"""The chain that a broker shows; ``doorbell.dial.ask_chain``."""


class CertificateWatch(Looker):
    """``start`` it beside the relay. Without that, ``look`` is one look, which returns the seconds to the next.

    ``authority``: the authority's folder, which need not be there. ``synced``: whether NTP has set the clock.
    """

    def __init__(
        self,
        mqtt: MqttSettings,
        authority: Path,
        figures: Figures,
        *,
        show: Show = ask_chain,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        synced: Callable[[], bool] = clock_is_synced,
    ) -> None:
        super().__init__("certificates")
        self._brokers = mqtt.brokers()
        self._authority = authority
        self._figures = figures
        self._show = show
        self._now = now
        self._doubt = ClockDoubt(synced, now)
        self._log = structlog.get_logger("relay.certificates").bind()
        self._complaints: dict[str, LogOnce] = {}
        self._shown: dict[MqttSettings, tuple[bytes, ...]] = {}
        self._told_s: dict[tuple[str, str], float] = {}

    def crashed(self) -> float:
        """See ``Looker``."""
        self._log.error("certificates.crashed", exc_info=True)
        return LOOK_S

    def look(self) -> float:
        """One look; returns how many seconds to wait before the next."""
        whole = True
        found: dict[Whose, list[Validity]] = {whose: [] for whose in Whose}
        relied: set[Validity] = set()
        for broker in self._brokers:
            if broker.tls is None:
                continue
            whole &= self._look_at_broker(broker, found, relied)
            for path, first, rest in (
                (broker.tls.certificate, Whose.RELAY, Whose.ISSUING),
                (broker.tls.ca, Whose.AUTHORITY, Whose.AUTHORITY),
            ):
                validities = self._read(path)
                whole &= bool(validities) or path is None
                found[first] += validities[:1]
                found[rest] += validities[1:]
        # Of several authorities one may be for later, or of long ago: what counts is whom somebody showed.
        found[Whose.AUTHORITY] = list(relied) or sorted(found[Whose.AUTHORITY], key=lambda one: one.not_after)[-1:]
        found[Whose.SIGNING] += self._signing()
        self._judge(found)
        if whole:
            self._figures.certificates_s = self._figures.monotonic()
        return LOOK_S if whole else LOOK_AGAIN_S

    def _look_at_broker(
        self, broker: MqttSettings, found: Mapping[Whose, list[Validity]], relied: set[Validity]
    ) -> bool:
        """Whether it could be seen; if not, what it showed last counts on."""
        refusal = None
        try:
            self._shown[broker] = self._show(broker, broker.connect_timeout_s)
        except SetupError as error:
            refusal = str(error)
        except (OSError, ValueError) as error:
            refusal = explain_error(error, broker, broker.connect_timeout_s)
        self._complain(name_of(broker), refusal)
        chain = _validities(self._shown.get(broker, ()))
        found[Whose.BROKER].extend(chain[:1])
        found[Whose.BROKER_ISSUING].extend(chain[1:-1])
        relied.update(chain[1:][-1:])
        return refusal is None

    def _read(self, path: Path | None) -> Sequence[Validity]:
        if path is None:
            return ()
        try:
            validities = read_validities(path)
        except OSError as error:
            self._complain(str(path), error.strerror or str(error))
            return ()
        self._complain(str(path), None if validities else "there is no certificate in it")
        return validities

    def _signing(self) -> Sequence[Validity]:
        """Of the newest issuing authority in the folder, if there is one."""
        number, newest = 1, None
        try:
            while (path := self._authority / f"issuing-{number}.pem").is_file():
                number, newest = number + 1, path
        except OSError:  # it is not ours to read: then nothing is signed here either
            return ()
        return self._read(newest)

    def _judge(self, found: Mapping[Whose, Sequence[Validity]]) -> None:
        now = self._now()
        tls = self._brokers[0].tls
        passed = self._doubt.surely_past(tls.ca, tls.certificate) if tls is not None else None
        if passed is not None:
            begun = (one.not_before for validities in found.values() for one in validities)
            self._tell_daily("certificates.clock_wrong", now=format_time(now), surely_past=format_time(passed))
            now = max((passed, *begun))
        ends = {whose: min(one.not_after for one in seen) for whose, seen in found.items() if seen}
        days = {whose: (end - now) / _DAY for whose, end in ends.items()}
        self._figures.certificates = CertificateEnds(days, clock_wrong=passed is not None)
        for whose, left in days.items():
            if left < TOLD_DAYS:
                event = "certificate.ends" if left > 0 else "certificate.ended"
                self._tell_daily(event, whose=whose.value, days=floor(left), until=format_time(ends[whose]))

    def _tell_daily(self, event: str, **facts: object) -> None:
        now_s, about = self._figures.monotonic(), (event, str(facts.get("whose", "")))
        if now_s - self._told_s.get(about, -inf) >= TELL_EVERY_S:
            self._told_s[about] = now_s
            (self._log.error if event == "certificate.ended" else self._log.warning)(event, **facts)

    def _complain(self, what: str, reason: str | None) -> None:
        """``reason``: None if all is well."""
        complaint = self._complaints.setdefault(what, LogOnce(self._log))
        if reason is None:
            complaint.clear()
        else:
            complaint.warning("certificate.unseen", what=what, reason=reason)


def _validities(chain: Iterable[bytes]) -> list[Validity]:
    return [validity_of(der) for der in chain]
