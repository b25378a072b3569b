"""How far each device is, on the pages: by what a relay wrote down, and by who was given an identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from doorbell.link import LinkUp
from relay.audit import AuditEntry, AuditWord
from relay.core.journal import LineType
from relay.core.register import Register
from relay.figures import CertificateEnds, Whose
from relay.people import Grant, Role
from relay.ports import Batch, JournalRow
from relay.texts.web import CERTIFICATES_OF
from tests.relay.doubles import PANEL, PENG, WANG, C, House, neighbourhood
from tests.relay.web.site import NOW, Browser, Site, text_of

PASSED = {"of": "selftest", "proven": ["relay.receipted"], "not_proven": []}


@pytest.fixture
def house(site: Site, monkeypatch: pytest.MonkeyPatch) -> House:
    """A relay whose every turn is committed to the site's database too."""
    site.store.replace_register(Register())  # of the example's, whose people live elsewhere
    site.store.replace_register(neighbourhood())
    house = House(settled=False)
    own = house.store.commit

    def both(batch: Batch) -> None:
        own(batch)
        site.store.commit(batch)

    monkeypatch.setattr(house.store, "commit", both)
    house.hear(LinkUp(1))
    house.advance(3_000)
    return house


@pytest.fixture
def technician(site: Site) -> Browser:
    return site.signed_in(1, Grant(Role.TECHNICIAN, C))


def row_of(browser: Browser, device: str) -> tuple[str, str]:
    """What the page of all devices says of one: how far it is, and what is next."""
    (row,) = re.findall(rf'<tr><td[^>]*><a href="/d/{device}">.*?</tr>', browser.get("/devices").text)
    cells = dict(re.findall(r'<td data-label="([^"]*)">(.*?)</td>', row))
    how_far, following = list(cells)[-2:]
    assert (how_far, following) in {("安装到了哪一步", "下一步"), ("Installation", "Next")}
    return tuple(re.sub(r"<[^>]+>", "", cells[name]) for name in (how_far, following))  # type: ignore[return-value]


def steps_of(browser: Browser, device: str) -> list[tuple[bool, str]]:
    """The steps on a device's own page: whether each is done, and what it says."""
    found = re.findall(r"<li( class=\"done\")?>(.*?)</li>", browser.get(f"/d/{device}").text.split('"steps"')[1])
    return [(bool(done), text) for done, text in found]


def selftest(house: House, device: str, number: int, **detail: Any) -> None:
    house.hear(house.event(device, "test", number, detail={**PASSED, **detail}))


def test_a_device_is_installed_once_a_press_was_heard_by_a_bell(site: Site, house: House, technician: Browser) -> None:
    """The page says so when the bell has reported its chime running, and not when it was asked for."""
    assert row_of(technician, PANEL) == ("卡已写好", "插卡、通电、连网")
    house.hear(*(house.online(one) for one in (PANEL, PENG)))
    at = house.clock.wall.astimezone()
    assert row_of(technician, PANEL) == (f"已上线 · {at:%Y-%m-%d %H:%M}", "等自检；没有通过的看 doorbell-device doctor")
    selftest(house, PANEL, 50, not_proven=["sound.failed"])
    assert row_of(technician, PANEL)[1] == "修：sound.failed；doorbell-device doctor 说明怎样修"
    selftest(house, PANEL, 51)
    selftest(house, PENG, 52)
    assert [word.split(" · ")[0] for word, _ in (row_of(technician, PANEL), row_of(technician, PENG))] == [
        "自检通过"
    ] * 2
    assert row_of(technician, PANEL)[1] == "按一次求助按钮，让志愿者的门铃响"
    house.press(1)
    assert row_of(technician, PANEL)[0].startswith("自检通过"), "called is not heard"
    house.advance(61_000)
    house.hear(house.report(PENG, 1))
    at = house.clock.wall.astimezone()
    assert row_of(technician, PANEL) == (f"已装好 · {at:%Y-%m-%d %H:%M}", f"与 {PENG} 一起试响过")
    assert row_of(technician, PENG) == (f"已装好 · {at:%Y-%m-%d %H:%M}", f"与 {PANEL} 一起试响过")
    assert row_of(technician, WANG)[0] == "卡已写好"


def test_a_devices_own_page_shows_each_step_in_both_languages(site: Site, house: House, technician: Browser) -> None:
    house.hear(house.online(PANEL))
    at = f"{house.clock.wall.astimezone():%Y-%m-%d %H:%M}"
    assert steps_of(technician, PANEL) == [
        (True, "卡已写好"),
        (True, f"已上线 · {at}"),
        (False, "自检通过 · 还没有"),
        (False, "已装好 · 还没有"),
    ]
    technician.post("/language", language="en")
    assert steps_of(technician, PANEL) == [
        (True, "made"),
        (True, f"registered · {at}"),
        (False, "tested · not yet"),
        (False, "installed · not yet"),
    ]
    assert "Next wait for its self-test" in text_of(technician.get(f"/d/{PANEL}"))
    assert row_of(technician, PANEL)[0] == f"registered · {at}"


def identity(site: Site, what: AuditWord, device: str, **later: float) -> None:
    site.store.audit.append(AuditEntry("os:root", what, device=device), NOW + timedelta(**later))


def install(site: Site, **later: float) -> None:
    at, test = NOW + timedelta(**later), LineType.TEST.value
    proofs = [JournalRow(at, C, test, device=one, data={"detail": PASSED}) for one in (PANEL, PENG)]
    pressed = JournalRow(at, C, "raised", "liu", f"a{at:%M}", PANEL)
    heard = JournalRow(at, C, "sounding", "liu", f"a{at:%M}", data={"bells": [PENG]})
    site.store.commit(Batch(journal=[*proofs, pressed, heard]))


def test_who_was_locked_out_or_has_a_new_card_begins_anew(site: Site, house: House, technician: Browser) -> None:
    identity(site, AuditWord.IDENTITY_ISSUED, PANEL, minutes=0)
    install(site, minutes=1)
    assert row_of(technician, PANEL)[0].startswith("已装好")
    identity(site, AuditWord.IDENTITY_REVOKED, PANEL, minutes=2)
    assert row_of(technician, PANEL) == ("还没有卡", f"doorbell-relay provision replace {PANEL}")
    assert not any(done for done, _ in steps_of(technician, PANEL))
    identity(site, AuditWord.IDENTITY_ISSUED, PANEL, minutes=3)
    at = f"{(NOW + timedelta(minutes=3)).astimezone():%Y-%m-%d %H:%M}"
    assert row_of(technician, PANEL) == (f"卡已写好 · {at}", "插卡、通电、连网")
    assert row_of(technician, PENG)[0].startswith("已装好"), "the bell is the one that it was"
    install(site, minutes=4)
    assert row_of(technician, PANEL)[0].startswith("已装好")


def test_who_was_never_given_an_identity_has_no_card_where_identities_are_known(
    site: Site, house: House, technician: Browser
) -> None:
    """Used to be: every device of an imported register had its card written, and was to be plugged in."""
    assert row_of(technician, WANG)[0] == "卡已写好", "they may be made on another machine"
    identity(site, AuditWord.IDENTITY_ISSUED, PANEL)
    assert row_of(technician, WANG) == ("还没有卡", f"doorbell-relay provision replace {WANG}")
    house.hear(house.online(WANG))
    assert row_of(technician, WANG)[0].startswith("已上线"), "whoever comes in has one"


def test_a_look_reads_only_what_is_new(
    site: Site, house: House, technician: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    journal = site.store.journal

    def counted(**which: Any) -> Iterator[Any]:
        for line in journal(**which):
            read.append(line.seq)
            yield line

    monkeypatch.setattr(site.store, "journal", counted)
    install(site, minutes=1)
    site.store.commit(Batch(journal=[JournalRow(NOW, C, LineType.SIGN_OF_LIFE.value, device=PANEL)]))
    assert row_of(technician, PANEL)[0].startswith("已装好")
    assert len(read) == 4, "and nothing that proves nothing"
    assert row_of(technician, PANEL)[0].startswith("已装好")
    site.store.commit(Batch(journal=[JournalRow(NOW, C, LineType.DEVICE_ONLINE.value, device=WANG)]))
    assert row_of(technician, WANG)[0].startswith("已上线")
    assert len(read) == 5
    site.store.replace_register(neighbourhood(without=[WANG]))
    assert row_of(technician, PANEL)[0].startswith("已装好"), "an import begins with the whole journal"
    assert len(read) == 10


def test_the_office_sees_whose_certificate_ends_before_it_does(site: Site, house: House, technician: Browser) -> None:
    site.pages.certificates = lambda: CertificateEnds({Whose.RELAY: 29.9, Whose.BROKER: -0.5, Whose.AUTHORITY: 30.0})
    seen = text_of(technician.get("/devices"))
    assert "中继的证书还有 29 天到期" in seen
    assert "消息代理的证书已经到期" in seen
    assert seen.index("已经到期") < seen.index("29 天"), "the worst first"
    assert "社区证书机构" not in seen
    assert technician.get("/devices").text.count('class="error"') == 2
    site.pages.certificates = CertificateEnds
    assert "证书" not in text_of(technician.get("/devices"))


def test_every_certificate_has_a_word() -> None:
    assert set(CERTIFICATES_OF) == set(Whose)
