"""The guided way: one question after another, and back again. What can be picked is not typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import typer

from relay.commands.setting import Setting
from relay.core.register import DeviceRole, Register
from relay.provisioning import Wish
from relay.provisioning_settings import Hardware
from relay.texts import Text
from relay.texts import provisioning as say

PAGE = 30
"""Choices that are shown at once; the start of an id or a name narrows them down."""


class _BackError(Exception):
    """The question before, please."""


class _LeaveError(Exception):
    """Nothing shall be done."""


def guide(setting: Setting, register: Register, wish: Wish, hardware: Hardware) -> Wish | None:
    """What the person at the terminal wishes; None: nothing. What ``wish`` says already is not asked."""
    asker = _Asker(setting, register, hardware)
    steps: Sequence[Callable[[Wish], Wish]] = (
        asker.role,
        asker.community,
        asker.household,
        asker.person,
        asker.board,
        asker.wifi,
        asker.sure,
    )
    at, answered = 0, [wish]
    try:
        while at < len(steps):
            try:
                answered.append(steps[at](answered[-1]))
                at += 1
            except _BackError:
                # Back to the last question that was really asked.
                while at > 0:
                    at -= 1
                    if answered.pop() != answered[-1]:
                        break
    except (_LeaveError, typer.Abort, EOFError):
        return None
    return answered[-1]


class _Asker:
    def __init__(self, setting: Setting, register: Register, hardware: Hardware) -> None:
        self._setting = setting
        self._register = register
        self._hardware = hardware

    def role(self, wish: Wish) -> Wish:
        words = [(DeviceRole.PANEL.value, say.ROLE_PANEL), (DeviceRole.BELL.value, say.ROLE_BELL)]
        return replace(wish, role=self._pick(say.ASK_ROLE, [(key, self._setting.say(word)) for key, word in words]))

    def community(self, wish: Wish) -> Wish:
        known = self._register.communities
        if wish.community or len(known) == 1:
            return wish
        return replace(wish, community=self._pick(say.ASK_COMMUNITY, [(c.id, c.name) for c in known.values()]))

    def household(self, wish: Wish) -> Wish:
        if wish.household:
            return wish
        homes = [
            (home.id, f"{home.id}  {home.label} {home.place}")
            for home in self._register.households.values()
            if wish.community in ("", home.community)
        ]
        new = [("", self._setting.say(say.NEW_HOUSEHOLD))] if wish.role == DeviceRole.PANEL.value else []
        picked = self._pick(say.ASK_HOUSEHOLD, [*homes, *new])
        if picked:
            return replace(wish, household=picked)
        household = self._type(say.TYPE_ID)
        label = self._type(say.TYPE_LABEL)
        return replace(wish, household=household, label=label, place=self._type(say.TYPE_PLACE, empty=True))

    def person(self, wish: Wish) -> Wish:
        if wish.role != DeviceRole.BELL.value or wish.person:
            return wish
        volunteers = self._register.households[wish.household].volunteers if wish.household else ()
        known = sorted(self._register.people.values(), key=lambda one: (one.id not in volunteers, one.id))
        listed = [(one.id, f"{one.id}  {one.name}") for one in known if wish.community in ("", one.community)]
        picked = self._pick(say.ASK_PERSON, [*listed, ("", self._setting.say(say.NEW_PERSON))])
        if picked:
            return replace(wish, person=picked)
        person = self._type(say.TYPE_ID)
        name = self._type(say.TYPE_NAME)
        return replace(wish, person=person, name=name, phone=self._type(say.TYPE_PHONE, empty=True))

    def board(self, wish: Wish) -> Wish:
        if wish.hardware:
            return wish
        ordered = sorted(Hardware, key=lambda one: one is not self._hardware)
        words = [(one.value, self._setting.say(say.HARDWARE_WORDS[one])) for one in ordered]
        return replace(wish, hardware=self._pick(say.ASK_HARDWARE, words))

    def wifi(self, wish: Wish) -> Wish:
        if wish.wifi:
            return wish
        cable = [("cable", self._setting.say(say.BY_CABLE))] if Hardware(wish.hardware).has_cable else []
        if self._pick(say.ASK_WIFI, [*cable, ("wifi", self._setting.say(say.BY_WIFI))]) == "cable":
            return wish
        name = self._type(say.TYPE_WIFI)
        return replace(wish, wifi=name, wifi_password=self._type(say.TYPE_WIFI_PASSWORD, empty=True, hidden=True))

    def sure(self, wish: Wish) -> Wish:
        told = (wish.role, wish.household, wish.label, wish.place, wish.person, wish.name, wish.hardware, wish.wifi)
        self._setting.out.print("  ".join(filter(None, told)))
        self._pick(say.ASK_SURE, [("yes", self._setting.say(say.YES_DO_IT))])
        return wish

    # -----------------------------------------------------------------------------------------------------------------

    def _pick(self, question: Text, choices: Sequence[tuple[str, str]]) -> str:
        """The key of one of the choices. A word narrows them down to those that contain it."""
        shown = list(choices)
        while True:
            self._setting.out.print(f"\n{self._setting.say(question)}")
            for number, (_, word) in enumerate(shown[:PAGE], 1):
                self._setting.out.print(f"  {number}  {word}")
            if len(shown) > PAGE:
                self._setting.out.print(f"  … ({len(shown)})")
            answer = str(typer.prompt(self._setting.say(say.PICK))).strip()
            if answer == "q":
                raise _LeaveError
            if answer == "0":
                raise _BackError
            if answer.isdecimal() and int(answer) <= min(len(shown), PAGE):
                return shown[int(answer) - 1][0]
            narrower = [(key, word) for key, word in choices if not answer.isdecimal() and answer in word]
            shown = narrower or list(choices)
            if not narrower:
                self._setting.err.print(self._setting.say(say.PICK_AGAIN, found=answer, last=len(shown[:PAGE])))

    def _type(self, question: Text, *, empty: bool = False, hidden: bool = False) -> str:
        told = str(typer.prompt(self._setting.say(question), default="", show_default=False, hide_input=hidden)).strip()
        if not told and not empty:
            raise _BackError
        return told
