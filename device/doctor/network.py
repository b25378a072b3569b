"""The way to the broker up to its port: a route, a name, a TCP connection, the Wi-Fi."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from device.core.wellness import WellnessLimits
from device.findings import Finding, Severity
from doorbell.settings import MqttSettings
from doorbell.wire import Health

_ROUTES = Path("/proc/net/route")
_ROUTES_6 = Path("/proc/net/ipv6_route")
MAX_ADDRESSES = 4


class Network(Protocol):
    """What is asked of the network."""

    def has_route(self) -> bool | None:
        """Whether there is a default route; None if it cannot be known."""
        ...

    def resolve(self, host: str) -> list[str]:
        """The addresses of a name. Raises ``OSError``."""
        ...

    def connect(self, host: str, port: int, within_s: float) -> None:
        """Open a TCP connection and close it again. Raises ``OSError``."""
        ...


class SystemNetwork:
    """The ``Network`` of this machine."""

    def has_route(self) -> bool | None:
        """From the kernel's tables, IPv4 and IPv6."""
        with suppress(OSError):
            for line in _ROUTES.read_text("ascii").splitlines()[1:]:
                if line.split()[1:2] == ["00000000"]:
                    return True
            six = _ROUTES_6.read_text("ascii").splitlines() if _ROUTES_6.exists() else []
            return any(line.startswith("0" * 32 + " 00 ") and not line.endswith("lo") for line in six)
        return None

    def resolve(self, host: str) -> list[str]:
        """By the system's resolver, as the daemon does."""
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(one[4][0]) for one in found))[:MAX_ADDRESSES]

    def connect(self, host: str, port: int, within_s: float) -> None:
        """A connection that says nothing."""
        socket.create_connection((host, port), timeout=within_s).close()


def check_network(network: Network, host: str, health: Health | None, limits: WellnessLimits) -> Iterator[Finding]:
    """Route, name and, with ``health``, Wi-Fi."""
    local = _is_local(host)
    if not local and network.has_route() is False:
        yield Finding("network", "no_route", Severity.FAILURE)
        return
    try:
        addresses = network.resolve(host)
    except OSError as error:
        reason = error.strerror or str(error)
        yield Finding("network", "unresolved", Severity.FAILURE, {"host": host, "reason": reason})
    else:
        yield Finding("network", "resolved", Severity.OK, {"host": host, "addresses": addresses})
    if health is not None and health.wifi_dbm is not None:
        weak = health.wifi_dbm <= limits.wifi_dbm
        code, severity = ("wifi_weak", Severity.WARNING) if weak else ("wifi", Severity.OK)
        yield Finding("network", code, severity, {"dbm": health.wifi_dbm})


def check_port(network: Network, mqtt: MqttSettings) -> Finding:
    """Whether anything listens where the broker should."""
    where = f"{mqtt.host}:{mqtt.port}"
    data: dict[str, object] = {"where": where, "port": mqtt.port}
    try:
        network.connect(mqtt.host, mqtt.port, mqtt.connect_timeout_s)
    except ConnectionRefusedError:
        return Finding("broker", "refused", Severity.FAILURE, data)
    except TimeoutError:
        within = f"{mqtt.connect_timeout_s:g}"
        return Finding("broker", "timeout", Severity.FAILURE, {**data, "within_s": within})
    except OSError as error:
        return Finding("broker", "unreachable", Severity.FAILURE, {**data, "reason": error.strerror or str(error)})
    return Finding("broker", "reachable", Severity.OK, data)


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
