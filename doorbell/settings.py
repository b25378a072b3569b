"""What a person may set in a TOML file, read once at start; every mistake is told with file, key and remedy.

A settings model is frozen and forbids unknown keys: a misspelt key must not silently keep a default. Paths in a file
are relative to that file, so that a configuration directory can be moved as a whole.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from doorbell.errors import SetupError
from doorbell.wire import DEFAULT_PREFIX, Topics

S = TypeVar("S", bound="Settings")

_BASE = "settings_directory"
_MAX_FILE_BYTES = 1024 * 1024
"""A settings file is written by hand; more than 1 MiB is the wrong file."""
MAX_FALLBACKS = 4
"""Each that is dead may hold up a press for ``connect_timeout_s``; two brokers are the usual case."""


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get(_BASE)
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no user of that name here; write the whole path") from None
    return path if base is None or path.is_absolute() else base / path


FilePathSetting = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path; a relative one counts from the settings file's directory. Whether it exists is asked where it is used."""


class Settings(BaseModel):
    """Base of every model of settings: frozen, unknown keys are errors, defaults are checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _usable_prefix(prefix: str) -> str:
    return Topics(prefix).prefix


class TlsSettings(Settings):
    """TLS 1.2 or newer, both sides with certificates: the device's common name is its MQTT user name."""

    ca: FilePathSetting
    """The authority that has signed the broker's certificate (PEM). No other authority is trusted."""
    certificate: FilePathSetting | None = None
    """Our own certificate (PEM); without one only a user name and password tell the broker who we are."""
    key: FilePathSetting | None = None
    """The private key of ``certificate`` (PEM, not encrypted: nobody is there to type a passphrase)."""
    server_name: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """The name in the broker's certificate, if it is not ``host``."""

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("there is a key but no certificate; name both, or neither")
        return self


HostName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
UserName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class FallbackTls(Settings):
    """What differs from ``[mqtt.tls]`` at a fallback. A certificate brings its own key, or holds it in its file."""

    ca: FilePathSetting | None = None
    certificate: FilePathSetting | None = None
    key: FilePathSetting | None = None
    server_name: HostName | None = None
    """Never taken from the first broker: it is the name of that one's certificate."""


class FallbackBroker(Settings):
    """A broker for when those before it do not answer; what is not said here is as for the first.

    A ``username`` brings its own ``password_file`` (or none): no broker is sent another user's password. TLS cannot be
    turned off: whoever silences the first broker must not get the password in clear text.
    """

    host: HostName
    port: PortNumber | None = None
    username: UserName | None = None
    password_file: FilePathSetting | None = None
    tls: FallbackTls = FallbackTls()


class MqttSettings(Settings):
    """How to reach the broker, or several in order."""

    host: HostName = "127.0.0.1"
    port: PortNumber = 1883
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """The programs fill it in: a device's id, or a relay's own name. Two clients with one id end each other."""
    username: UserName | None = None
    password_file: FilePathSetting | None = None
    """A file whose first line is the password; read at every connect. A password itself is never in the settings."""
    tls: TlsSettings | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """The broker sends our last will after 1.5 times this silence; we give the connection up after twice it."""
    prefix: Annotated[str, AfterValidator(_usable_prefix)] = DEFAULT_PREFIX
    receive_qos: Annotated[int, Field(ge=0, le=1)] = 1
    """With what QoS a device subscribes. 0 is for clusters of NATS, which keep for every subscription with QoS 1 a
    group that votes, and after the death of a server may need 9 s to make one: docs/several-relays.md. Nothing is
    lost by it: what a device has missed is told again. Relays subscribe with 1 whatever stands here."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long each address may take to accept TCP. With fallbacks: a whole try, from the name to SUBACK; after two
    rounds in vain twice as long, and so on up to ``keepalive_s`` or a minute, for a network that is merely slow."""
    backoff_min_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    backoff_max_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Of a device 3 s at most while a press or an answer waits for its receipt."""
    fallback: Annotated[tuple[FallbackBroker, ...], Field(max_length=MAX_FALLBACKS)] = ()
    """Used in this order while the first does not answer. All must lead to the same relay: see docs/brokers.md."""
    return_s: Annotated[float, Field(ge=5, le=3600)] = 60.0
    """On a fallback: how often the first is asked whether it answers again, give or take a quarter."""
    steady_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """On a fallback: for how long the first must have answered before the link goes back to it."""

    @model_validator(mode="after")
    def _backoff_grows(self) -> Self:
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError(
                f"backoff_max_s ({self.backoff_max_s:g}) is less than backoff_min_s ({self.backoff_min_s:g})"
            )
        return self

    @model_validator(mode="after")
    def _fallbacks_are_usable(self) -> Self:
        seen = {_same_place(self.host, self.port): "the first broker"}
        for number, broker in enumerate(self.brokers()[1:], start=1):
            name = f"fallback {number} ({broker.host}:{broker.port})"
            place = _same_place(broker.host, broker.port)
            if place in seen:
                raise ValueError(f"{name} is the same as {seen[place]}; name another broker, or take it out")
            seen[place] = f"fallback {number}"
        return self

    def brokers(self) -> tuple[MqttSettings, ...]:
        """Every broker in the order of tries, each as the settings of a link that knows no other.

        Raises ``ValueError`` for TLS settings of a fallback that do not fit together.
        """
        first = self.model_copy(update={"fallback": ()}) if self.fallback else self
        return (first, *(first.model_copy(update=self._differing(one, n)) for n, one in enumerate(self.fallback, 1)))

    def _differing(self, fallback: FallbackBroker, number: int) -> dict[str, Any]:
        port = self.port if fallback.port is None else fallback.port
        differing: dict[str, Any] = {"host": fallback.host, "port": port}
        if fallback.username is not None:
            differing |= {"username": fallback.username, "password_file": fallback.password_file}
        elif fallback.password_file is not None:
            differing["password_file"] = fallback.password_file
        own, shared = fallback.tls, self.tls
        if own.key is not None and own.certificate is None:
            raise ValueError(f"fallback {number}: tls has a key but no certificate; name both, or neither")
        ca = own.ca or (shared and shared.ca)
        if ca is None:
            if own != FallbackTls():
                raise ValueError(f"fallback {number}: tls names no authority; add ca there, or in [mqtt.tls]")
            return differing
        mine = own if own.certificate is not None or shared is None else shared
        differing["tls"] = TlsSettings(ca=ca, certificate=mine.certificate, key=mine.key, server_name=own.server_name)
        return differing

    def read_password(self) -> str | None:
        """The first line of ``password_file``; None without one. ``SetupError`` if it cannot be read or is empty."""
        return None if self.password_file is None else read_password_file(self.password_file)


def read_password_file(path: Path) -> str:
    """The first line of a file. Raises ``SetupError`` if it cannot be read or is empty."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: the password file cannot be read: {error}") from None
    if not lines or not lines[0]:
        raise SetupError(f"{path}: the password file is empty; write the password on its first line")
    return lines[0]


def _same_place(host: str, port: int) -> tuple[str, int]:
    return host.lower().rstrip("."), port


def load_settings(model: type[S], path: Path) -> S:
    """Read a TOML file into a model.

    Raises ``SetupError`` that names the file, the dotted key (or the line of a syntax error) and what to do.
    """
    return parse_settings(model, read_table(path), path)


def read_table(path: Path) -> dict[str, Any]:
    """What is in a TOML file, unchecked. Raises ``SetupError`` with the line of a syntax error."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise SetupError(f"{path}: there is no such file; copy the example file there or name another one") from None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read ({error.strerror}); check its path and permissions") from None
    if len(raw) > _MAX_FILE_BYTES:
        raise SetupError(f"{path}: larger than 1 MiB; is this really a settings file?")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SetupError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: not valid TOML: {error}") from None


def parse_settings(model: type[S], table: dict[str, Any], path: Path) -> S:
    """Check a table that was read from ``path`` (which gives relative paths their directory and errors their name)."""
    try:
        return model.model_validate(table, context={_BASE: path.absolute().parent})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        raise SetupError("\n".join(f"{path}: {_explain(model, problem)}" for problem in problems)) from None


def _explain(model: type[BaseModel], problem: ErrorDetails) -> str:
    loc = problem["loc"]
    key = ".".join(map(str, loc)) or "the file"
    match problem["type"]:
        case "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            close = difflib.get_close_matches(str(loc[-1]), known, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known)) or 'nothing'}"
            return f"{key}: unknown key; {remedy}"
        case "missing":
            return f"{key}: missing; add it"
        case "value_error":
            return f"{key}: {problem.get('ctx', {}).get('error', problem['msg'])}"
        case _:
            return f"{key}: {problem['msg']}, not {_shorten(problem['input'])}"


def _keys_at(model: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a model knows at a place; [] where the place is no model of ours (a list, a free table)."""
    for part in loc:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        model = None if field is None else _model_in(field.annotation)
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model inside ``M``, ``M | None``, ``tuple[M, ...]`` or ``dict[str, M]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((part for part in inner if part is not None), None)


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
