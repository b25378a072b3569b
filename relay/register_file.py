"""The register as a file that a community worker can read and edit: TOML to ``Register`` and back.

The head of every written file explains the format (``HEAD``); ``relay.register_check`` says what is wrong with one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from doorbell.errors import SetupError
from doorbell.wire import AlarmKind
from relay.core.policy import OnMistake, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.register_check import (
    MAX_REGISTER_BYTES,
    Problem,
    RegisterCheck,
    Row,
    Severity,
    check_register,
    examine_register,
)
from relay.texts import Language

__all__ = ["Problem", "RegisterFileError", "check_register", "load_register_file", "read_register", "write_register"]

HEAD = """\
# 登记表：谁住在哪里，有哪些设备，谁帮助谁。改完以后检查：doorbell-relay register check 本文件
# The register: who lives where, with which devices, and who helps whom. To check it: doorbell-relay register check FILE
#
# 编号（id）只用小写字母、数字和 -，不得重复；名称用中文；# 后面是说明。volunteers 按呼叫的先后写，其余没有先后。
# Ids are lower-case letters, digits and '-', each once; '#' begins a remark. Volunteers are called in their order.
#
# [[community]]  小区    id, name, language = "zh-CN" / "en"
# [[policy]]     呼叫规则：先后呼叫谁、等多少秒 whom to call, step after step, and for how many seconds
#                id, arrive_wait_s, done_wait_s, on_mistake = "close" / "look-in", steps = [{ call = [], wait_s = 45 }]
#                "volunteer:1" 第一位志愿者 the first volunteer     "volunteers" 全部志愿者 all volunteers
#                "group:medical" 小组的编号或种类 a group by id or kind     "office" 办公室     "everyone" 所有人
#                "hook:board" 网络通知 a webhook     最后一步一直重复 the last step repeats
# [[hook]]       网络通知 webhook    id, community, url, secret_file = 签名密钥文件 file with the key of the signature
# [[person]]     人员    id, community, name, phone, bells = [门铃 devices]
# [[group]]      联盟小组    id, community, kind = "medical" / "office" ..., name, members = [人员 people], hooks
# [[household]]  住户    id, community, label 称呼, place 地址, panels = [面板 devices], volunteers = [人员 people],
#                policies = { help = "呼叫规则 policy", checkin, technical, request }
# [[device]]     上面某个设备的设置 settings of a device named above    id, volume 0-100, report_interval_s 5-3600
"""


class RegisterFileError(SetupError):
    """A register file has errors; ``problems`` has all of them, and the warnings."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        first = errors[0]
        super().__init__(f"{path}:{first.line}: {first.key}: {first.message_en} ({len(errors)} error(s) in all)")
        self.problems = problems


def read_register(path: Path) -> Register:
    """The register in a file. Raises ``RegisterFileError``, or ``SetupError`` for a file that cannot be opened."""
    register, problems = load_register_file(path)
    if register is None:
        raise RegisterFileError(path, problems)
    return register


def load_register_file(path: Path) -> tuple[Register | None, list[Problem]]:
    """The register in a file, None if it has errors, and all problems. ``SetupError`` if it cannot be opened."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_REGISTER_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    return parse_register(source)


def parse_register(source: str | bytes) -> tuple[Register | None, list[Problem]]:
    """The register in a text, None if it has errors, and all problems."""
    checked = examine_register(source)
    return (_build(checked) if checked.usable else None), checked.problems


# ---------------------------------------------------------------------------------------------------------------------
# From checked rows


def _build(checked: RegisterCheck) -> Register:
    rows = checked.rows
    extras = {row.id: row.content for row in rows["device"]}
    devices = [
        _device(row, device, role, extras.get(device, {}))
        for table, key, role in (("household", "panels", DeviceRole.PANEL), ("person", "bells", DeviceRole.BELL))
        for row in rows[table]
        for device in row.content.get(key, ())
    ]
    return Register(
        communities={row.id: _community(row.content) for row in rows["community"]},
        households={row.id: _household(row.content) for row in rows["household"]},
        people={row.id: _person(row.content) for row in rows["person"]},
        devices={device.id: device for device in devices},
        groups={row.id: _group(row.content) for row in rows["group"]},
        hooks={row.id: _hook(row.content) for row in rows["hook"]},
        policies={row.id: _policy(row.content) for row in rows["policy"]},
    )


def _community(row: dict[str, Any]) -> Community:
    return Community(row["id"], row["name"], row.get("language", Language.ZH.value))


def _household(row: dict[str, Any]) -> Household:
    return Household(
        id=row["id"],
        community=row["community"],
        label=row["label"],
        place=row.get("place", ""),
        volunteers=tuple(row.get("volunteers", ())),
        policies=tuple((AlarmKind(kind), policy) for kind, policy in row.get("policies", {}).items()),
    )


def _person(row: dict[str, Any]) -> Person:
    return Person(row["id"], row["community"], row["name"], row.get("phone", ""))


def _group(row: dict[str, Any]) -> Group:
    return Group(
        id=row["id"],
        community=row["community"],
        kind=row["kind"],
        name=row["name"],
        members=tuple(row.get("members", ())),
        hooks=tuple(row.get("hooks", ())),
    )


def _hook(row: dict[str, Any]) -> Hook:
    return Hook(row["id"], row["community"], row["url"], row.get("secret_file", ""))


def _device(owner: Row, device: str, role: DeviceRole, extra: dict[str, Any]) -> Device:
    is_panel = role is DeviceRole.PANEL
    return Device(
        id=device,
        community=owner.content["community"],
        role=role,
        household=owner.id if is_panel else None,
        person=None if is_panel else owner.id,
        volume=extra.get("volume"),
        report_interval_s=extra.get("report_interval_s"),
    )


def _policy(row: dict[str, Any]) -> Policy:
    steps = tuple(Step(tuple(parse_target(text) for text in step["call"]), step["wait_s"]) for step in row["steps"])
    waits = {key: row[key] for key in ("arrive_wait_s", "done_wait_s") if key in row}
    return Policy(row["id"], steps, **waits, on_mistake=OnMistake(row.get("on_mistake", OnMistake.CLOSE.value)))


# ---------------------------------------------------------------------------------------------------------------------
# To text


def write_register(register: Register, stream: TextIO) -> None:
    """Write a register so that ``read_register`` gives an equal one; defaults and empty lists are left out."""
    stream.write(HEAD)
    for table, row in _rows_of(register):
        stream.write(f"\n[[{table}]]\n")
        stream.writelines(f"{key} = {value}\n" for key, value in row if value)


_Written = Iterator[tuple[str, list[tuple[str, str]]]]


def _rows_of(register: Register) -> _Written:
    for community in register.communities.values():
        row = [*_head(community.id), ("name", _text(community.name)), ("language", _text(community.language))]
        yield "community", row
    for policy in register.policies.values():
        yield "policy", _policy_row(policy)
    for hook in register.hooks.values():
        row = [*_head(hook.id, hook.community), ("url", _text(hook.url)), ("secret_file", _text(hook.secret_file))]
        yield "hook", row
    for person in register.people.values():
        row = [*_head(person.id, person.community), ("name", _text(person.name)), ("phone", _text(person.phone))]
        yield "person", [*row, ("bells", _list(register.bells_of.get(person.id, ())))]
    for group in register.groups.values():
        row = [*_head(group.id, group.community), ("kind", _text(group.kind)), ("name", _text(group.name))]
        yield "group", [*row, ("members", _list(group.members)), ("hooks", _list(group.hooks))]
    for household in register.households.values():
        yield "household", _household_row(register, household)
    owned = chain(
        (panel for home in register.households for panel in register.panels_of.get(home, ())),
        (bell for person in register.people for bell in register.bells_of.get(person, ())),
    )
    for device in (register.devices[device_id] for device_id in owned):
        if device.volume is not None or device.report_interval_s is not None:
            numbers = (("volume", device.volume), ("report_interval_s", device.report_interval_s))
            yield "device", [*_head(device.id), *((key, str(n)) for key, n in numbers if n is not None)]


def _head(row_id: str, community: str = "") -> list[tuple[str, str]]:
    return [("id", _text(row_id)), ("community", _text(community))]


def _household_row(register: Register, household: Household) -> list[tuple[str, str]]:
    policies = ", ".join(f"{kind.value} = {_text(policy)}" for kind, policy in household.policies)
    return [
        *_head(household.id, household.community),
        ("label", _text(household.label)),
        ("place", _text(household.place)),
        ("panels", _list(register.panels_of.get(household.id, ()))),
        ("volunteers", _list(household.volunteers)),
        ("policies", f"{{ {policies} }}" if policies else ""),
    ]


def _policy_row(policy: Policy) -> list[tuple[str, str]]:
    steps = "".join(f"    {{ call = {_list(map(str, s.targets))}, wait_s = {s.wait_s} }},\n" for s in policy.steps)
    return [
        ("id", _text(policy.id)),
        ("arrive_wait_s", str(policy.arrive_wait_s)),
        ("done_wait_s", str(policy.done_wait_s)),
        ("on_mistake", _text(policy.on_mistake.value)),
        ("steps", f"[\n{steps}]"),
    ]


def _text(value: str) -> str:
    """A TOML basic string, empty for an empty value; JSON's escapes are TOML's too, except that DEL needs one there."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if value else ""


def _list(values: Iterable[str]) -> str:
    items = ", ".join(_text(value) for value in values)
    return f"[{items}]" if items else ""
