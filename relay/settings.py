"""The relay's settings: one TOML file, see ``config/relay.example.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from doorbell.logs import LogFormat, LogLevel
from doorbell.settings import (
    FilePathSetting,
    MqttSettings,
    Settings,
    load_settings,
    parse_settings,
    read_password_file,
    read_table,
)
from relay.broker_settings import BrokerSettings
from relay.core.lease import LeaseTimes
from relay.database import Place, is_url, parse_place
from relay.privacy_key import KEY_FILE_VARIABLE
from relay.provisioning_settings import ProvisionSettings
from relay.retention import Kept
from relay.texts import Language
from relay.web_settings import WebSettings

DEFAULT_CONFIG = Path("/etc/love-doorbell/relay.toml")
DATABASE_VARIABLE = "DOORBELL_RELAY_DATABASE"
"""In the environment: in the place of ``database`` in the file. A relative path counts from the working directory."""


def _kind(value: object) -> str:
    return "url" if isinstance(value, str) and is_url(value) else "file"


DatabaseSetting = Annotated[
    Annotated[str, Tag("url")] | Annotated[FilePathSetting, Tag("file")],
    Discriminator(_kind),
]
"""The path of a file, or a URL."""


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


class TracesSettings(Settings):
    """Where an OpenTelemetry collector takes the lives of alarms as traces; needs ``love-doorbell[opentelemetry]``."""

    endpoint: Annotated[
        str, StringConstraints(pattern=r"^(https://.+|http://(127\.0\.0\.1|\[::1\]|localhost)[:/].+)\z")
    ]
    """OTLP by HTTP, for example ``http://127.0.0.1:4318/v1/traces``. Not on this machine: ``https`` only."""


class PostgresSettings(Settings):
    """What a database's URL does not say. A password is never in a URL, nor in the settings."""

    password_file: FilePathSetting | None = None
    """A file whose first line is the password; read at every connect. Without it, ``PGPASSFILE`` and ``~/.pgpass``."""
    ca: FilePathSetting | None = None
    """The authority that has signed the server's certificate (PEM). No other authority is trusted."""
    certificate: FilePathSetting | None = None
    key: FilePathSetting | None = None
    """Our own certificate and its private key (PEM), for a server that asks for one instead of a password."""
    clear_text: bool = False
    """Do without TLS to a server on another machine: only where the network between is protected otherwise (a VPN)."""


class RetentionSettings(Settings):
    """How long what has happened is kept, in days; ``doorbell-relay store retain`` deletes what is older."""

    journal_days: Annotated[int, Field(ge=30, le=36_525)] = 1_096
    """Closed alarms with their journal, and the journal's other lines: three years, the time in which somebody may
    still ask a Chinese court what happened (Civil Code, article 188)."""
    events_days: Annotated[int, Field(ge=30, le=36_525)] = 400
    """Events as devices sent them. An event that comes again after this time passes for a new one; no broker and no
    device holds one for more than days, so 30 is the least."""
    rejected_days: Annotated[int, Field(ge=1, le=36_525)] = 90
    """Messages that could not be used, of which the newest 10,000 are kept anyway."""

    register_days: Annotated[int, Field(ge=1, le=36_525)] = 90
    """Registers of before an import, which are kept beside the database."""
    audit_days: Annotated[int, Field(ge=183, le=36_525)] = 1_096
    """Who looked at whom, and who changed what. Half a year is the least that China's Cybersecurity Law (article 21)
    lets network logs be kept; three years as for the journal."""

    def days(self, kind: Kept) -> int:
        """The period of one kind."""
        match kind:
            case Kept.ALARMS | Kept.LINES:
                return self.journal_days
            case Kept.EVENTS:
                return self.events_days
            case Kept.REJECTED:
                return self.rejected_days


class PrivacySettings(Settings):
    """With what names, addresses, telephone numbers and notes in the database are sealed. See docs/privacy.md."""

    key_file: FilePathSetting = Path("privacy.key")
    """The file with the privacy keys, or a systemd credential; made at the first start if it is not there."""


class AuthoritySettings(Settings):
    """Where the community's certificate authority is; only the machine on which certificates are made has one."""

    directory: FilePathSetting = Path("authority")
    """Its folder, which ``doorbell-relay authority create`` makes."""
    passphrase_file: FilePathSetting | None = None
    """A file whose first line encrypts the issuing key, a systemd credential for instance. Without it, the key is
    protected by its file's mode alone."""

    def passphrase(self) -> str | None:
        """Of the issuing key. Raises ``SetupError`` if the file cannot be read."""
        return None if self.passphrase_file is None else read_password_file(self.passphrase_file)


class LeaseSettings(Settings):
    """How fast communities move between the relays of one PostgreSQL database. The same for all of them."""

    beat_s: float = Field(default=1.0, ge=0.1, le=10)
    """How often a relay says that it lives, and looks what the others do."""
    expire_s: float = Field(default=6.0, ge=1, le=60)
    """After so long without a beat a relay is dead to the others: they serve its communities."""
    margin_s: float = Field(default=1.5, gt=0, le=10)
    """So much earlier it falls silent by itself."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        self.times()
        return self

    def times(self) -> LeaseTimes:
        """For the core, in milliseconds. Raises ``ValueError`` for what cannot work."""
        return LeaseTimes(round(self.beat_s * 1000), round(self.expire_s * 1000), round(self.margin_s * 1000))


class RelaySettings(Settings):
    """One relay. Paths are relative to the settings file."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,56}\z")]
    """Lower-case letters, digits and '-'; at most 57, because ``relay-NAME`` is an MQTT client id of at most 63."""
    database: DatabaseSetting
    """The path of an SQLite file (its directory is made if it is missing), or the URL of a PostgreSQL database."""
    postgresql: PostgresSettings | None = None
    """How a PostgreSQL server is reached, if ``database`` does not say all of it."""
    retention: RetentionSettings = RetentionSettings()
    language: Language = Language.ZH
    """Of the commands' output, unless ``--language`` or the terminal's locale say otherwise."""
    mqtt: MqttSettings = MqttSettings()
    logs: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()
    traces: TracesSettings | None = None
    leases: LeaseSettings = LeaseSettings()
    broker: BrokerSettings | None = None
    """The broker whose configuration is written here."""
    privacy: PrivacySettings = Field(default_factory=dict, validate_default=True)
    authority: AuthoritySettings = Field(default_factory=dict, validate_default=True)
    provision: ProvisionSettings = ProvisionSettings()
    web: WebSettings = WebSettings()

    @model_validator(mode="after")
    def _database_is_reachable(self) -> Self:
        if self.postgresql is not None and not isinstance(self.database, str):
            raise ValueError(
                "[postgresql] is there, but database is a file: write postgresql://USER@HOST/NAME, or take it out"
            )
        self.place()
        return self

    def place(self) -> Place:
        """Where the database is, with all that reaching it needs."""
        if isinstance(self.database, Path):
            return self.database
        reaching = self.postgresql or PostgresSettings()
        return parse_place(self.database, **{key: getattr(reaching, key) for key in PostgresSettings.model_fields})

    @property
    def client_id(self) -> str:
        """Who the relay is at the broker. Devices may not be called ``relay-…``."""
        return f"relay-{self.name}"


def load_relay_settings(path: Path, environment: Mapping[str, str]) -> RelaySettings:
    """The settings in a file, with the database and the privacy key that the environment names, if it does.

    ``SetupError`` as usual.
    """
    database, key_file = environment.get(DATABASE_VARIABLE), environment.get(KEY_FILE_VARIABLE)
    if not database and not key_file:
        return load_settings(RelaySettings, path)
    table = dict(read_table(path))
    if database:
        table["database"] = database if is_url(database) else str(Path(database).absolute())
        if not is_url(database):
            table.pop("postgresql", None)
    if key_file:
        table["privacy"] = {"key_file": str(Path(key_file).absolute())}
    return parse_settings(RelaySettings, table, path)
