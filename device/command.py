"""The command ``doorbell-device``: run a device, check its settings, move the pins of one that runs without a Pi."""

# ruff: noqa: T201 - a command's answer goes to stdout, its log to stderr
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import structlog

from device.core.signals import Colour
from device.options import add_doctor_options, add_selftest_options
from device.ports import UnavailableError
from device.settings import DaemonSettings
from device.texts import text
from device.wiring import HEADER_PINS, Level, OutputWire, Wiring, wiring_notes
from doorbell.errors import SetupError
from doorbell.logs import configure_logs
from doorbell.service import ExitCode
from doorbell.settings import MqttSettings, load_settings
from doorbell.wire import Topics

_log = structlog.get_logger("device.command")

_EXAMPLES = """
  doorbell-device run --config panel.toml
  doorbell-device run --config config/panel.example.toml --pins mock
  doorbell-device check --config panel.toml
  doorbell-device lights-off --config panel.toml
  doorbell-device pins press help --socket var/panel/pins.sock
  doorbell-device pins hold answer --ms 3200 --socket var/bell/pins.sock
  doorbell-device pins down help --socket var/panel/pins.sock
  doorbell-device pins up help --socket var/panel/pins.sock
  doorbell-device pins state --json --socket var/panel/pins.sock
  doorbell-device pins watch --socket var/panel/pins.sock
  doorbell-device doctor
  doorbell-device doctor --config panel.toml --only button --only speaker
  doorbell-device doctor --config panel.toml --yes --json
  doorbell-device doctor --yes --only speaker --listen plughw:1
  doorbell-device selftest
  doorbell-device selftest --config panel.toml --wait 900 --json
  doorbell-device sounds --out var/sounds
  doorbell-device sounds --out var/sounds --language en --name "Peng Xiaoping" --label "Grandma Liu" --place "3, 502"
  doorbell-device sounds --out var/sounds --config config/bell.example.toml
"""


def _examples(command: str = "") -> str:
    """The examples of one command, or all."""
    lines = (line for line in _EXAMPLES.splitlines() if line.startswith(f"  doorbell-device {command}"))
    return "\n".join([text("examples"), *lines])


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code is one of ``doorbell.service.ExitCode``."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "run":
                return _run(options)
            case "check":
                _check(options.config)
            case "lights-off":
                _lights_off(options)
            case "doctor":
                from device.doctor.examining import run_doctor  # noqa: PLC0415 - not for the daemon's memory

                return run_doctor(options)
            case "selftest":
                from device.doctor.daily import run_selftest  # noqa: PLC0415 - not for the daemon's memory

                return run_selftest(options)
            case "sounds":
                _sounds(options)
            case _:
                _pins(options)
    except SetupError as error:
        print(f"{text('error')}: {error}", file=sys.stderr)
        return ExitCode.SETUP
    except UnavailableError as error:
        print(f"{text('error')}: {error}", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    except KeyboardInterrupt:
        return ExitCode.OK
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return ExitCode.OK
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="doorbell-device", description=text("about"), epilog=_examples(), formatter_class=raw
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="run | check | doctor | selftest | lights-off | pins | sounds"
    )

    def add(to: Any, path: str, *aliases: str, note: str = "") -> argparse.ArgumentParser:
        name = path.rsplit(maxsplit=1)[-1]
        words = text(name)
        described = "\n\n".join(filter(None, (words, note)))
        added: argparse.ArgumentParser = to.add_parser(
            name, aliases=aliases, help=words, description=described, epilog=_examples(path), formatter_class=raw
        )
        return added

    run = add(commands, "run")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help=text("config"))
    run.add_argument("--pins", choices=("real", "mock"), default="real", help=text("pins_kind"))
    run.add_argument("--control", type=Path, metavar="SOCKET", help=text("control"))
    run.add_argument("--log-format", choices=("console", "json", "auto"), help=text("log_format"))
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help=text("log_level"))

    check = add(commands, "check")
    check.add_argument("--config", type=Path, required=True, metavar="FILE", help=text("config"))

    off = add(commands, "lights-off")
    off.add_argument("--config", type=Path, required=True, metavar="FILE", help=text("config"))
    off.add_argument("--pins", choices=("real", "mock"), default="real", help=text("pins_kind"))

    doctor = add(commands, "doctor", note=text("doctor_exit"))
    add_doctor_options(doctor)

    selftest = add(commands, "selftest", note=text("selftest_exit"))
    add_selftest_options(selftest)

    pins = add(commands, "pins")
    moves = pins.add_subparsers(dest="move", required=True, metavar="press | hold | down | up | state | watch")
    for name, aliases in (
        ("press", ()), ("hold", ()), ("down", ()), ("up", ()), ("state", ("show",)), ("watch", ()),
    ):  # fmt: skip
        move = add(moves, f"pins {name}", *aliases)
        move.set_defaults(move=name)
        if name not in ("state", "watch"):
            move.add_argument("pin", choices=("help", "ok", "answer", "decline"), help=text("pin"))
        if name in ("press", "hold"):
            move.add_argument("--ms", type=int, default=3200 if name == "hold" else 150, help=text("ms"))
        move.add_argument("--socket", type=Path, required=True, metavar="PATH", help=text("socket"))
        move.add_argument("--json", action="store_true", help=text("json"))

    sounds = add(commands, "sounds")
    sounds.add_argument("--out", type=Path, required=True, metavar="DIR", help=text("sounds_out"))
    sounds.add_argument("--language", metavar="TAG", help=text("sounds_language"))
    sounds.add_argument("--name", default="彭小平", help=text("sounds_name"))
    sounds.add_argument("--label", default="柳奶奶", help=text("sounds_label"))
    sounds.add_argument("--place", default="西湖山小区 3栋502", help=text("sounds_place"))
    sounds.add_argument("--config", type=Path, metavar="FILE", help=text("sounds_config"))
    return parser


def _run(options: argparse.Namespace) -> ExitCode:
    settings = load_settings(DaemonSettings, options.config)
    mock = options.pins == "mock"
    configure_logs(options.log_format or settings.logs.format, options.log_level or settings.logs.level)
    # Imported here: the other commands need no pins, and answer in a quarter of the time without.
    from device.daemon import run_daemon  # noqa: PLC0415

    control = options.control or settings.control_socket(mock=mock)
    try:
        return run_daemon(settings, mock=mock, control=control)
    except (SetupError, UnavailableError):
        raise
    except Exception:  # noqa: BLE001 - the last one; it is logged and ends the process
        # Ours, whatever it is, a broken pipe too: the service manager must start us again, and somebody must read why.
        _log.exception("device.bug", device=settings.device)
        return ExitCode.BUG


def _check(path: Path) -> None:
    settings = load_settings(DaemonSettings, path)
    mqtt, button, wiring = settings.mqtt, settings.button, settings.wiring()
    player = settings.sound.player
    sound = text("buzzer_only") if player == "none" else text(
        "sound_value", player=" ".join(player), volume=settings.sound.volume
    )  # fmt: skip
    first, *fallbacks = map(_broker_text, mqtt.brokers())
    rows = {
        "device": settings.device,
        "role": text(settings.role.value),
        "community": settings.community,
        "state_dir": settings.state_dir,
        "broker": first,
        **({"fallbacks": text("fallbacks_value", list=", ".join(fallbacks), s=mqtt.return_s)} if fallbacks else {}),
        "topics": f"{Topics(mqtt.prefix).prefix}/{settings.community}/{settings.device}/…",
        **_wiring_rows(settings, wiring),
        "thresholds": text("thresholds_value", stable=button.stable_ms, hold=button.hold_ms, stuck=button.stuck_s),
        "sound": sound,
        "reports": text("reports_value", s=settings.report_interval_s),
    }
    print(f"{path}: {text('good')}")
    for key, value in rows.items():
        print(f"  {text(key)}: {value}")
    for note in wiring_notes(wiring):
        where = text("note_where", use=note.use, pin=_pin_text(note.pin))
        print(f"  {text('note')}: {where}{text(f'note_{note.code}')}")
    if settings.pins.pull_up is not None:
        print(f"  {text('note')}: {text('note_pull_up', pull='up' if settings.pins.pull_up else 'down')}")


def _broker_text(broker: MqttSettings) -> str:
    told = f"{broker.host}:{broker.port}"
    if broker.tls is not None:
        told += " TLS" if broker.tls.server_name is None else f" TLS ({broker.tls.server_name})"
    return told


def _wiring_rows(settings: DaemonSettings, wiring: Wiring) -> dict[str, str]:
    """Buttons, light and buzzer, each with its pins; the colours if the light has several."""
    buttons = (
        text("button_value", name=name.value, pin=_pin_text(wire.pin), how=text(f"wired_{wire.pull}_{wire.active}"))
        for name, wire in wiring.buttons.items()
    )
    rows = {
        "buttons": text("comma").join(buttons),
        "light": text("comma").join(_output_text(lamp) for lamp in wiring.light) or text("none"),
        "buzzer": _output_text(wiring.buzzer),
    }
    if len(wiring.light) > 1:
        lights: dict[Colour, list[str]] = {}
        for light, colour in settings.light_colours().items():
            lights.setdefault(colour, []).append(_word(light))
        told = (f"{text(f'colour_{colour}')}: {text('comma').join(lights[colour])}" for colour in lights)
        rows["colours"] = "; ".join(told)
    return rows


def _output_text(wire: OutputWire | None) -> str:
    if wire is None:
        return text("none")
    colour = f"{text(f'colour_{wire.primary}')} " if wire.primary is not None else ""
    level = f" {text('on_low')}" if wire.active is Level.LOW else ""
    return f"{colour}{_pin_text(wire.pin)}{level}"


def _pin_text(pin: int) -> str:
    return text("pin_value", gpio=pin, place=HEADER_PINS[pin])


def _lights_off(options: argparse.Namespace) -> None:
    settings = load_settings(DaemonSettings, options.config)
    # Imported here for the same reason as the daemon.
    from device.adapters.gpio import open_factory, switch_outputs_off  # noqa: PLC0415

    switch_outputs_off(open_factory(settings.state_dir, mock=options.pins == "mock"), settings.wiring())
    print(text("all_off"))


def _sounds(options: argparse.Namespace) -> None:
    # Imported here: no other command makes sounds.
    from device.sounds_command import write_sounds  # noqa: PLC0415

    write_sounds(options)


def _pins(options: argparse.Namespace) -> None:
    # Imported here for the same reason as the daemon.
    from device.adapters.control import REAL_PINS, ControlError, ask  # noqa: PLC0415

    request: dict[str, Any] = {"do": "press" if options.move == "hold" else options.move}
    if "pin" in options:
        request["pin"] = options.pin
    if "ms" in options:
        request["ms"] = options.ms
    try:
        for answer in ask(options.socket, request):
            if options.json:
                print(json.dumps(answer, ensure_ascii=False), flush=True)
            elif "stage" in answer:
                print(_state_text(answer, whole=options.move == "state"), flush=True)
    except ControlError as error:
        raise SetupError(text(REAL_PINS)) from None if error.reason == REAL_PINS else error


def _word(name: str | None) -> str:
    """A stage, light or tone in words."""
    return text("none") if name is None else text(f"is_{name}")


def _state_text(state: dict[str, Any], *, whole: bool) -> str:
    """A state for a person: several lines, or one line for ``watch``."""
    lit = text("lit" if state["light_lit"] else "dark")
    rows = {
        "stage": _word(state["stage"]),
        "light": f"{_word(state['light'])} ({lit})",
        "tone": _word(state["tone"]),
        "sounding": ", ".join(state["sounding"]) or text("none"),
        "outbox": state["outbox"],
        "link": text("up_word" if state["link"] else "down_word"),
        "buttons": ", ".join(f"{k} {text('is_down' if down else 'is_up')}" for k, down in state["pins"].items()),
    }
    if not whole:
        told = "  ".join(f"{text(key)}={rows[key]}" for key in ("stage", "light", "tone", "sounding", "link"))
        return f"{state['at']}  {told}"
    head = f"{state['device']} ({text(state['role'])}), rev {state['rev']}"
    return "\n".join([head, *(f"  {text(key)}: {value}" for key, value in rows.items())])
