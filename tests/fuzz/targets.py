"""The table of targets, and how a whole run's million is shared out: to the grammars of our own most of it.

A new one is a function that returns a ``Subject``, and a row here.
"""

from __future__ import annotations

from tests.fuzz.subject import Target

TARGETS = {
    target.name: target
    for target in (
        Target(
            "payloads", "tests.fuzz.wire:payloads", 200_000, ("doorbell.wire",), "every message of the wire contract"
        ),
        Target(
            "topics",
            "tests.fuzz.wire:topics",
            80_000,
            ("doorbell.wire", "relay.intake"),
            "a delivery, as the relay reads it",
        ),
        Target("prefixes", "tests.fuzz.wire:prefixes", 40_000, ("doorbell.wire",), "topics, built and parsed"),
        Target(
            "packets", "tests.fuzz.wire:packets", 160_000, ("doorbell.packets",), "the broker's stream, cut anywhere"
        ),
        Target("register", "tests.fuzz.texts:register", 120_000, ("relay",), "a register file, read and written"),
        Target(
            "toml-lines",
            "tests.fuzz.texts:toml_lines",
            80_000,
            ("relay.toml_lines",),
            "where things stand in a TOML text",
        ),
        Target(
            "settings", "tests.fuzz.texts:settings", 60_000, ("doorbell.settings",), "a settings file of either program"
        ),
        Target(
            "links", "tests.fuzz.people:links", 40_000, ("relay.links", "itsdangerous"), "the token of a personal link"
        ),
        Target(
            "tables",
            "tests.fuzz.people:tables",
            40_000,
            ("relay.provisioning", "relay.provisioning_table"),
            "a table of devices to be made",
        ),
        Target(
            "renewals",
            "tests.fuzz.people:renewals",
            40_000,
            ("relay.core.renewal", "doorbell.wire"),
            "what a device says of its certificate",
        ),
        Target(
            "backups", "tests.fuzz.people:backups", 2_000, ("relay.adapters",), "a file that is said to be a back-up"
        ),
        Target("web", "tests.fuzz.web:pages", 60_000, ("relay.web",), "any request to the pages"),
        Target("turn", "tests.fuzz.town:relay_turns", 20_000, ("relay",), "what devices say, through a whole relay"),
        Target(
            "issued", "tests.fuzz.texts:issued", 40_000, ("relay.issued",), "the authority's list of what it issued"
        ),
        Target(
            "status", "tests.fuzz.talk:status_pages", 60_000, ("relay.adapters.status",), "HTTP to the status pages"
        ),
        Target(
            "control", "tests.fuzz.talk:control_line", 60_000, ("device.adapters.control",), "a device's control line"
        ),
        Target(
            "hook", "tests.fuzz.talk:hook_answer", 40_000, ("relay.adapters.notify",), "what a chat's server answers"
        ),
        Target(
            "x509",
            "tests.fuzz.certificates:device_readers",
            60_000,
            ("device.doctor.x509", "doorbell.certificates"),
            "certificates, as a device reads them",
        ),
        Target(
            "csr",
            "tests.fuzz.certificates:requests",
            30_000,
            ("relay.adapters.authority",),
            "requests that are to be signed",
        ),
        Target(
            "pem",
            "tests.fuzz.certificates:authority_files",
            30_000,
            ("relay.adapters.authority",),
            "certificates, lists and keys, as the authority reads them",
        ),
    )
}
WHOLE = sum(target.number for target in TARGETS.values())
