"""What a person says about the broker whose configuration we write: the settings' ``[broker]``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from doorbell.settings import FilePathSetting, HostName, PortNumber, Settings, UserName

LogName = Annotated[str, StringConstraints(pattern=r"^(syslog|stderr|stdout|file /[^\n#]+)\z")]
UnitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_.@-]{1,255}\z")]


class BrokerKind(StrEnum):
    """Which program it is."""

    MOSQUITTO = "mosquitto"
    NATS = "nats"


class ClusterSettings(Settings):
    """The other servers of a NATS cluster, which are one broker together."""

    others: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=6)]
    """Names or addresses, as they are in those servers' certificates."""
    listen: HostName = "0.0.0.0"
    port: PortNumber = 6222
    """On which the servers speak to each other; the same for all."""


class BrokerSettings(Settings):
    """One broker on this machine. Its certificate and key are in ``directory`` beside what we write there."""

    kind: Annotated[BrokerKind, Field(alias="for")] = BrokerKind.MOSQUITTO
    directory: FilePathSetting = Path("broker")
    """Where its configuration is written."""
    listen: HostName = "0.0.0.0"
    """The address on which it takes clients."""
    port: PortNumber = 8883
    data: FilePathSetting | None = None
    """Where it keeps sessions and retained messages; without it, where Debian's package does."""
    user: UserName | None = None
    """As whom it runs; the files are given to that user, for which root is needed."""
    max_connections: Annotated[int, Field(ge=16, le=1_000_000)] = 16_384
    """Of all together. The service manager must allow as many open files."""
    log: LogName = "syslog"
    log_connections: bool = True
    """A line for each that comes and goes."""
    server_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\z")] = "doorbell"
    """Of a NATS server, to which its clients' sessions belong: it must not change."""
    cluster: ClusterSettings | None = None
    unit: UnitName | None = None
    """The systemd unit, such as ``mosquitto.service``, with which it is made to read its configuration again."""
    pid_file: FilePathSetting | None = None
    """Where its process number is, if it is not a unit."""

    @model_validator(mode="after")
    def _is_one_line(self) -> Self:
        for name in ("listen", "user", "data", "directory"):
            if not str(getattr(self, name) or "").isprintable():
                raise ValueError(f"[broker] {name} has a line break or another control character in it")
        return self

    @model_validator(mode="after")
    def _cluster_is_of_nats(self) -> Self:
        if self.cluster is not None and self.kind is not BrokerKind.NATS:
            raise ValueError("[broker.cluster] is for a NATS server only")
        return self

    @model_validator(mode="after")
    def _one_way_to_reload(self) -> Self:
        if self.unit is not None and self.pid_file is not None:
            raise ValueError("[broker] has both unit and pid_file; name the one by which it is told to read again")
        return self
