"""Files that people write or bring: the register, settings, the authority's list of what it issued."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from device.settings import DaemonSettings
from doorbell.errors import SetupError
from doorbell.settings import Settings, load_settings
from relay.issued import parse_lines
from relay.register_file import parse_register, write_register
from relay.settings import RelaySettings
from relay.toml_lines import TomlPath, locate_paths
from tests.fuzz.mutate import mutate_json, mutate_toml
from tests.fuzz.subject import ROOT, Subject, holds, same, scratch

CONFIG = ROOT / "config"
_SMALL = """\
[[community]]
id = "c"
name = "小区"
language = "en"
[[policy]]
id = "night"
arrive_wait_s = 600
done_wait_s = 60
on_mistake = "look-in"
steps = [
  { call = ["volunteer:1", "group:medical"], wait_s = 45 },
  { call = ["everyone", "hook:board", "office"], wait_s = 120 },
]
[[hook]]
id = "board"
community = "c"
url = "http://127.0.0.1/x"
secret_file = "/etc/key"
[[person]]
id = "peng"
community = "c"
name = "彭小平"
phone = "138"
bells = ["bell-peng"]
[[group]]
id = "clinic"
community = "c"
kind = "medical"
name = "诊所"
members = ["peng"]
hooks = ["board"]
[[household]]
id = "liu"
community = "c"
label = "柳奶奶"
place = "3栋502"
panels = ["button-liu"]
volunteers = ["peng"]
policies = { help = "night", checkin = "night" }
[[device]]
id = "bell-peng"
volume = 80
report_interval_s = 60
"""
_WORDS = (
    b"[[",
    b"]]",
    b"[household]",
    b"[[device]]",
    b"id = ",
    b"\n",
    b'"""',
    b"'''",
    b"\\",
    b"\\u0000",
    b"= {",
    b"}",
    b"=",
    b".",
    b"true",
    b"1979-05-27T07:32:00Z",
    b"nan",
    b"-0",
    b"[[[[[[[[",
    b"{a=",
    b"#",
    b'"group:',
    b'"volunteer:0"',
    b"\xe2\x80\xae",
    b"a.b.c = 1",
    b"\r\n",
    b"\x7f",
    b"\xef\xbb\xbf",
)


def register() -> Subject:
    """A register file: every problem has a line that is there and both languages; a good one is written and read."""

    def run(data: bytes) -> str:
        made, problems = parse_register(data)
        last = data.count(b"\n") + 1
        for problem in problems:
            holds(f"line {problem.line} of {last}", 1 <= problem.line <= last)
            holds("words in both languages", bool(problem.message_zh) and bool(problem.message_en))
            (problem.key + problem.message_zh + problem.message_en).encode()
        if made is None:
            holds("a reason", bool(problems))
            return f"refused, {min(len(problems), 4)} problems"
        out = io.StringIO()
        write_register(made, out)
        again, told = parse_register(out.getvalue().encode())
        holds(f"written and refused: {told}", again is not None)
        same("written and read", again, made)
        return f"accepted, {min(len(made.households) + len(made.people), 3)} rows"

    def seeds() -> list[bytes]:
        rows = _SMALL.split("[[")[1:]
        heads = ["[[" + rows[0], "[[" + rows[0] + "[[" + rows[1]]
        example = (CONFIG / "neighbourhood.example.toml").read_bytes()
        return [_SMALL.encode(), example, *(head.encode() for head in heads), b'community = [{id = "c", name = "n"}]\n']

    return Subject(run, seeds, _WORDS, mutate_toml, max_len=8_192)


def toml_lines() -> Subject:
    """Any TOML that ``tomllib`` takes: every path in it has a line, and a key stands on its line."""

    def run(data: bytes) -> str:
        try:
            text = data.decode()
            tree = tomllib.loads(text)
        except (ValueError, RecursionError):
            return "no TOML"
        paths = dict(islice(_paths(tree, ()), 200))
        lines = text.split("\n")
        for path, line in locate_paths(text, paths).items():
            holds(f"{path} on line {line}", 1 <= line <= len(lines))
            plain = isinstance(path[-1], str) and path[-1].isalnum() and not isinstance(paths[path], dict | list)
            simple = "\\" not in text and '"""' not in text and "'''" not in text
            if plain and simple:
                holds(f"{path[-1]} is not on line {line}", str(path[-1]) in lines[line - 1])
        return f"{min(len(paths), 5)} paths"

    def seeds() -> list[bytes]:
        own = (
            b'a = 1\n[b.c]\nd = [1, {e = 2}]\n[[f]]\ng.h = 3\n[[f.i]]\n"j k" = """\nm\n"""\n[[f]]\nl = \'\'\'n\'\'\'\n'
        )
        return [own, _SMALL.encode(), b"[a]\nb = {c = [\n1,\n2], 'd' = 3}\n", b'"" = 0\n[x.""]\ny = 1979-05-27\n']

    return Subject(run, seeds, _WORDS, mutate_toml, max_len=2_048)


def _paths(tree: Any, path: TomlPath) -> Iterator[tuple[TomlPath, Any]]:
    items: Any = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key), value
        yield from _paths(value, (*path, key))


def settings() -> Subject:
    """First byte: whose settings; the rest is the file. ``SetupError`` names the file, everything else is a crash."""
    file = scratch() / "settings.toml"
    models: tuple[type[Settings], ...] = (DaemonSettings, RelaySettings)

    def run(data: bytes) -> str:
        kind, text = (data[0] % 2, data[1:]) if data else (0, b"")
        file.write_bytes(text)
        try:
            made = load_settings(models[kind], file)
        except SetupError as error:
            holds("the file's name", str(error).startswith(str(file)))
            str(error).encode()
            return "refused"
        same("read again", load_settings(models[kind], file), made)
        return f"accepted {kind}"

    def seeds() -> list[bytes]:
        names = ((0, "bell.example.toml"), (0, "panel.example.toml"), (1, "relay.example.toml"))
        least = b'\x00device = "d"\ncommunity = "c"\nrole = "bell"\nstate_dir = "s"\n[pins]\nanswer = 17\n'
        fallback = b'[mqtt]\nhost = "a"\n[[mqtt.fallback]]\nhost = "b"\ntls.ca = "x"\n[mqtt.tls]\nca = "y"\n'
        whole = [bytes([kind]) + (CONFIG / name).read_bytes() for kind, name in names]
        bare = [
            bytes([one[0]]) + b"\n".join(x for x in one[1:].split(b"\n") if x[:1] not in (b"#", b"")) for one in whole
        ]
        return [*bare, least, least + fallback, b"\x01" + fallback]

    keys = (b"[mqtt]\n", b"[mqtt.tls]\n", b"[pins]\n", b"[sound]\n", b"[broker]\n", b"[retention]\n", b"host = ", b"~")
    return Subject(run, seeds, (*_WORDS, *keys), lambda random, data: mutate_toml(random, data, 1), max_len=4_096)


def issued() -> Subject:
    """``issued.jsonl`` of an authority: read whole, or ``SetupError`` with the line."""

    def run(data: bytes) -> str:
        try:
            found, whole = parse_lines(data, "issued.jsonl")
        except SetupError as error:
            holds("its line", str(error).startswith("issued.jsonl:"))
            str(error).encode()
            return "refused"
        holds("whole lines", whole == 0 or data[whole - 1 : whole] == b"\n")
        for one in found:
            holds("certificates", bool(one.certificates))
        return f"{min(len(list(found)), 3)} identities"

    def seeds() -> list[bytes]:
        a = (
            b'{"at":"2026-11-30T08:00:00Z","name":"bell-peng","number":"0a","did":"issued","serial":"1f","purpose":"device",'
            b'"since":"2026-10-31T08:00:00Z","until":"2027-11-30T08:00:00Z","issuer":1,"hosts":[]}\n'
        )
        b = b'{"at":"2026-12-01T08:00:00Z","name":"bell-peng","number":"0a","did":"revoked","why":"stolen"}\n'
        return [a, a + b, a + b + a.replace(b'"0a"', b'"0b"'), a + a[:60]]

    def change(random: Random, data: bytes) -> bytes:
        """One line of it."""
        lines = data.splitlines(keepends=True) or [b""]
        place = random.randrange(len(lines))
        lines[place] = mutate_json(random, lines[place]).rstrip(b"\n") + b"\n"
        return b"".join(lines)

    words = (
        b'"did":"revoked"',
        b'"why":"lost"',
        b'"name":"relay-main"',
        b"\n",
        b'"0b"',
        b"broker.",
        b"9999-12-31T23:59:59Z",
    )
    return Subject(run, seeds, words, change)
