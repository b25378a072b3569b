"""Why a connection could not be made or ended, in plain words for the log of a technician."""

from __future__ import annotations

import socket
import ssl

from doorbell.settings import MqttSettings


def explain_error(error: OSError | ValueError, settings: MqttSettings, within_s: float) -> str:
    """What an exception of ``connect`` means, and where to look; ``within_s`` is the time that it had."""
    where = f"{settings.host}:{settings.port}"
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate of {where} is not accepted: {error.verify_message}; check tls.ca and this clock"
        case ssl.SSLError():
            detail = (error.reason or str(error)).replace("_", " ").lower()
            return f"TLS with {where} failed: {detail}; does this port speak TLS?"
        case ConnectionRefusedError():
            return f"nothing listens at {where}"
        case ConnectionError() if settings.tls is not None:
            return f"TLS with {where} failed: the other side ended it; does this port speak TLS?"
        case socket.gaierror():
            return f"the name {settings.host!r} cannot be resolved: {error.strerror}"
        case TimeoutError():
            return f"{where} did not answer within {within_s:g} s"
        case OSError():
            return f"{where} cannot be reached: {error.strerror or error}"
        case _:
            return f"{where} cannot be used: {error}"


def explain_disconnect(code: str, *, came_up: bool, silent: bool) -> str:
    """What paho's reason of a disconnect means. ``silent``: the socket's error was that nothing comes back."""
    match code:
        case "Keep alive timeout":
            return "the broker was silent for longer than two keepalives"
        case _ if silent:
            return "nothing comes back from the broker: its machine or the network is gone"
        case "Normal disconnection" | "Success":
            return "we disconnected"
        case "Protocol error":
            return "the broker sent something that is not MQTT 3.1.1"
        case _ if not came_up:
            return "the broker closed the connection before it was up: it may not accept our certificate, user or id"
        case _:
            return "the broker closed the connection"
