"""Everything beyond the device: network, brokers, certificates, relay, pair; by the running daemon or by ourselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC

from device.adapters.control import ControlError
from device.adapters.identity import in_use
from device.doctor.broker import check_pair, check_relay, talk_to_relay
from device.doctor.certificate import check_broker_certificate, check_own_certificate, shake_hands
from device.doctor.network import Network, check_network, check_port
from device.doctor.running import Running, ask_selftest
from device.findings import Finding, Severity, finding_from_json
from device.ports import Clock, HealthSource
from device.settings import DaemonSettings
from doorbell.errors import SetupError
from doorbell.settings import MqttSettings
from doorbell.wire import ClockState, Coverage

RECEIPT_S = 10
BEYOND_PORT = frozenset({"certificate", "broker", "relay", "pair"})


class Line:
    """The way from one device to its relay and back. ``checks``: those that were asked for."""

    def __init__(
        self, settings: DaemonSettings, checks: frozenset[str], network: Network, clock: Clock, health: HealthSource
    ) -> None:
        self._settings = settings
        self._checks = checks
        self._network = network
        self._clock = clock
        self._health = health

    def findings(self, running: Running | None) -> Iterator[Finding]:
        """From the plug to the pair. ``running``: the daemon, if it runs."""
        checks, network, brokers = self._checks, self._network, brokers_of(self._settings)
        if "network" in checks:
            health, limits = self._health.read(), self._settings.wellness()
            for mqtt in brokers:
                yield from check_network(network, mqtt.host, health if mqtt is brokers[0] else None, limits)
        if not checks & BEYOND_PORT:
            return
        ports = [check_port(network, mqtt) for mqtt in brokers]
        reachable = [mqtt for mqtt, port in zip(brokers, ports, strict=True) if port.severity is Severity.OK]
        if "broker" in checks:
            for port in ports:
                # One of several that is down leaves the device in service.
                yield (
                    replace(port, severity=Severity.WARNING)
                    if reachable and port.severity is Severity.FAILURE
                    else port
                )
        if "certificate" in checks:
            yield from self._certificates(brokers, reachable)
        for finding in self._relay(running, reachable):
            if finding.check in checks or finding.check == "service":
                yield finding

    def _certificates(self, brokers: Sequence[MqttSettings], reachable: Sequence[MqttSettings]) -> Iterator[Finding]:
        now, own = self._clock.wall().astimezone(UTC), None
        for mqtt in brokers:
            tls = mqtt.tls
            if tls is None:
                yield Finding("certificate", "no_tls", Severity.WARNING)
                continue
            if tls.certificate != own:
                own = tls.certificate
                yield from check_own_certificate(tls, self._settings.device, now)
            if mqtt not in reachable:
                continue
            try:
                yield check_broker_certificate(shake_hands(mqtt, tls), mqtt, tls, now)
            except SetupError as error:
                if tls.certificate is None:  # else it was told as ours
                    yield Finding("certificate", "unusable", Severity.FAILURE, {"reason": str(error)})

    def _relay(self, running: Running | None, reachable: Sequence[MqttSettings]) -> Iterator[Finding]:
        """By the running daemon, whose identity must not be used twice; without one, by ourselves."""
        wanted = self._checks & {"broker", "relay", "pair"}
        if not wanted:
            return
        if running is not None:
            yield from self._by_daemon(running)
        elif not reachable:
            yield Finding("relay", "not_asked", Severity.NOTE)
            yield Finding("pair", "not_asked", Severity.NOTE)
        else:
            clock = ClockState.SYNCED if self._clock.synced() else ClockState.UNSYNCED
            try:
                spoken = talk_to_relay(self._settings, reachable[0], clock)
            except SetupError:
                yield Finding("broker", "not_asked", Severity.NOTE)  # the files are told by their own check
                return
            yield from check_relay(spoken, self._settings.device)

    def _by_daemon(self, running: Running) -> Iterator[Finding]:
        try:
            answer = ask_selftest(running, RECEIPT_S)
        except ControlError as error:
            yield unanswered(error)
            return
        if answer["busy"]:
            yield Finding("relay", "busy", Severity.NOTE, {"stage": answer["stage"]})
            return
        for finding in map(finding_from_json, answer["findings"]):
            if finding.check in ("broker", "relay"):
                yield finding
        state = running.state
        if state.get("rev"):
            yield Finding("relay", "desired", Severity.OK, {"rev": state["rev"]})
            told = state.get("coverage")
            yield from check_pair(state.get("peers", []), None if told is None else Coverage(told))
        else:
            yield Finding("relay", "no_desired", Severity.FAILURE)


def brokers_of(settings: DaemonSettings) -> tuple[MqttSettings, ...]:
    """Every broker in the order in which the device tries them, with the certificate that it is shown now."""
    return tuple(
        one if one.tls is None else one.model_copy(update={"tls": in_use(one.tls, settings.state_dir)})
        for one in settings.mqtt.brokers()
    )


def unanswered(error: ControlError) -> Finding:
    """The daemon is there and gives no answer."""
    code = error.reason if error.reason in ("silent", "forbidden") else "refused"
    return Finding("service", code, Severity.FAILURE, {"reason": str(error)})
