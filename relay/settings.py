"""The relay's settings: one TOML file, see ``config/relay.example.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from doorbell.logs import LogFormat, LogLevel
from doorbell.settings import FilePathSetting, MqttSettings, Settings
from relay.texts import Language

DEFAULT_CONFIG = Path("/etc/love-doorbell/relay.toml")


class LogSettings(Settings):
    """How the log looks, and from which level on."""

    format: LogFormat = "auto"
    level: LogLevel = "info"


class StatusSettings(Settings):
    """Where a program of the operator sees how the relay is: /metrics, /healthz and /readyz by HTTP."""

    enabled: bool = True
    host: str = "127.0.0.1"
    """An address of this machine. The pages hold no name or place, but there is no password: behind a proxy only."""
    port: int = Field(default=18840, ge=0, le=65535)
    """0 takes a free one, which the log line ``status.listening`` tells."""


class RelaySettings(Settings):
    """One relay. Paths are relative to the settings file."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,56}\z")]
    """Lower-case letters, digits and '-'; at most 57, because ``relay-NAME`` is an MQTT client id of at most 63."""
    database: FilePathSetting
    """The SQLite file; its directory is made if it is missing."""
    language: Language = Language.ZH
    """Of the commands' output, unless ``--language`` or the terminal's locale say otherwise."""
    mqtt: MqttSettings = MqttSettings()
    logs: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()

    @property
    def client_id(self) -> str:
        """Who the relay is at the broker. Devices may not be called ``relay-…``."""
        return f"relay-{self.name}"
