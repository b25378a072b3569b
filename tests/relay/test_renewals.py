"""A renewal through the relay's shell: asked, signed by whoever can, told, taken; and by people's commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doorbell.wire import MAX_PAYLOAD_BYTES, certificate_mark
from relay.adapters.store import SqlStore
from relay.commands.renewals import signing, signing_if_here
from relay.core.renewal import Renewal, RenewalRow
from relay.figures import Figures
from relay.ports import Batch, StoreError
from relay.settings import AuthoritySettings
from relay.signing import Clerk, RefusedError, sign_waiting
from relay.texts import authority as say
from relay.texts.refusal import RefusalError
from tests.relay.doubles import PANEL, PENG, House, uid
from tests.relay.identities import PASSPHRASE, cheap, request_of
from tests.relay.office import Office

__all__ = ["cheap"]

REQUEST = "-----BEGIN CERTIFICATE REQUEST-----\nMIHO\n-----END CERTIFICATE REQUEST-----\n"
OTHER = REQUEST.replace("MIHO", "MIHP")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIICHDCC\n-----END CERTIFICATE-----\n"
T0 = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


def ask(house: House, number: int = 60, device: str = PENG, request: str = REQUEST) -> None:
    house.hear(house.event(device, "renew", number, detail={"request": request}))


def certify(house: House, certificate: str = CERTIFICATE) -> None:
    """The clerk signs, and the relay looks."""
    (row,) = house.store.renewals(state=Renewal.WAITING)
    assert house.store.answer_renewal(row, Renewal.SIGNED, certificate, house.clock.now())
    house.advance(1_000)


def state(house: House, device: str = PENG) -> Renewal:
    (row,) = house.store.renewals(devices=[device])
    return row.state


def test_a_request_is_kept_and_receipted_and_its_certificate_told_until_it_is_taken() -> None:
    house = House()
    ask(house)
    assert (state(house), house.shown(PENG).cert) == (Renewal.WAITING, None)
    assert house.shown(PENG).stored[-1] == uid(60)
    certify(house)
    assert (state(house), house.shown(PENG).cert) == (Renewal.TOLD, CERTIFICATE)
    assert house.shown(PANEL).cert is None
    house.press(1)
    assert house.shown(PENG).cert == CERTIFICATE
    house.hear(house.event(PENG, "renew", 61, detail={"taken": certificate_mark(CERTIFICATE)}))
    assert (state(house), house.shown(PENG).cert) == (Renewal.TAKEN, None)
    assert house.rings(PENG)


def test_a_relay_that_starts_anew_goes_on_telling() -> None:
    house = House()
    ask(house)
    certify(house)
    house.boot()
    house.press(1)
    assert house.shown(PENG).cert == CERTIFICATE


def test_what_was_signed_while_no_relay_ran_is_told_by_the_next() -> None:
    house = House()
    ask(house)
    (row,) = house.store.renewals(state=Renewal.WAITING)
    house.store.answer_renewal(row, Renewal.SIGNED, CERTIFICATE, house.clock.now())
    house.boot()
    house.advance(1_000)
    assert (state(house), house.shown(PENG).cert) == (Renewal.TOLD, CERTIFICATE)


def test_a_database_that_refuses_loses_no_certificate() -> None:
    house = House()
    ask(house)
    (row,) = house.store.renewals(state=Renewal.WAITING)
    house.store.answer_renewal(row, Renewal.SIGNED, CERTIFICATE, house.clock.now())
    house.store.fail_commits = 1
    with pytest.raises(StoreError):
        house.advance(1_000)
    assert state(house) is Renewal.SIGNED
    house.boot()
    house.advance(1_000)
    assert (state(house), house.shown(PENG).cert) == (Renewal.TOLD, CERTIFICATE)


def test_a_flood_of_requests_is_one_request_and_changes_no_state() -> None:
    house = House()
    ask(house)
    for number in range(61, 81):
        ask(house, number, request=REQUEST.replace("MIHO", f"MI{number}"))
    assert [row.request for row in house.store.renewals()] == [REQUEST]
    assert house.relay.counts["renewal.too_soon"] == 20
    assert house.relay.counts["renewal.asked"] == 1


def test_the_journal_says_what_was_done_and_not_the_request() -> None:
    house = House()
    ask(house)
    line = next(line for line in house.store.journal() if line.type == "renewal")
    assert (line.device, line.data) == (PENG, {"event_type": "renew", "reason": "renewal_asked"})


def test_a_certificate_never_pushes_a_ring_out() -> None:
    """What does not fit waits: the certificate, and not the ring."""
    house = House()
    ask(house)
    certify(house, CERTIFICATE.replace("MIICHDCC", "MIICHDCC\n" * 420))
    wide = house.shown(PENG)
    assert wide.cert is not None
    rings = []
    for number in range(1, 3):
        house.press(number)
        rings.append(house.rings(PENG))
    assert all(rings)
    assert len(house.shown(PENG).model_dump_json().encode()) <= MAX_PAYLOAD_BYTES


# --- signing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def certified(cheap: None, office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office with an authority, an identity for bell-peng, and a request of its."""
    monkeypatch.chdir(office.folder)
    (office.folder / "root.passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
    (office.folder / "data").mkdir()
    office.store().close()
    create = ("authority", "create", "--name", "西湖山社区", "--root-passphrase-file", "root.passphrase")
    assert office.run(*create)[0] == 0
    assert office.run("authority", "issue", "device", "bell-peng")[0] == 0
    return office


def put(office: Office, *rows: tuple[str, str]) -> None:
    """Requests that wait: (device that asked, name in its request)."""
    store = office.store()
    for n, (device, name) in enumerate(rows):
        row = RenewalRow(device, "xihu", request_of(name).decode(), T0 + timedelta(seconds=n))
        store.commit(Batch(renewals={device: row}))
    store.close()


def told(office: Office) -> dict[str, tuple[str, str]]:
    _, out, _ = office.run("authority", "renewals", "--json")
    return {row["device"]: (row["state"], row["answer"]) for row in json.loads(out)}


def test_a_person_sees_what_waits_and_signs_it(certified: Office) -> None:
    code, out, _ = certified.run("authority", "renewals", "--language", "en")
    assert (code, out.strip()) == (0, "No device has asked for a renewal.")
    put(certified, ("bell-peng", "bell-peng"))
    assert "等待签发" in certified.run("authority", "renewals")[1]
    code, out, err = certified.run("authority", "renewals", "--sign", "--language", "en")
    assert (code, "Signed 1, refused 0" in err, "the relay will tell it" in out) == (0, True, True)
    state, answer = told(certified)["bell-peng"]
    assert (state, answer.count("BEGIN CERTIFICATE")) == ("signed", 2)
    store = certified.store()
    signed = [line for line in store.audit.lines() if line.what == "identity_signed"]
    store.close()
    assert [line.device for line in signed] == ["bell-peng"]
    _, out, _ = certified.run("authority", "show", "--json")
    (identity,) = json.loads(out)["identities"]
    assert len(identity["certificates"]) == 2, "the same identity, with one certificate more"


@pytest.mark.parametrize(
    ("device", "name", "reason"),
    [
        ("bell-wu", "bell-peng", "the request is for bell-peng, and not for bell-wu"),
        ("bell-wu", "bell-wu", "bell-wu has no identity"),
        ("relay-main", "relay-main", "the request is for relay-main"),
    ],
    ids=["somebody-else's", "nobody's", "a relay's"],
)
def test_a_device_gets_a_certificate_for_itself_and_for_nobody_else(
    certified: Office, device: str, name: str, reason: str
) -> None:
    put(certified, (device, name), ("bell-peng", "bell-peng"))
    assert certified.run("authority", "renewals", "--sign")[0] == 0
    state, answer = told(certified)[device]
    assert (state, reason in answer) == ("refused", True)
    assert told(certified)["bell-peng"][0] == "signed", "one that is refused holds up nobody"


def test_who_was_taken_back_gets_none(certified: Office) -> None:
    put(certified, ("bell-peng", "bell-peng"))
    assert certified.run("authority", "revoke", "bell-peng", "--why", "stolen")[0] == 0
    assert certified.run("authority", "renewals", "--sign")[0] == 0
    assert told(certified)["bell-peng"][0] == "refused"


def test_a_request_that_cannot_be_read_is_refused(certified: Office) -> None:
    store = certified.store()
    store.commit(Batch(renewals={"bell-peng": RenewalRow("bell-peng", "xihu", REQUEST, T0)}))
    store.close()
    assert certified.run("authority", "renewals", "--sign")[0] == 0
    assert told(certified)["bell-peng"][0] == "refused"


def test_a_device_out_of_its_mind_gets_so_many_a_week(certified: Office) -> None:
    outcomes = []
    for _ in range(7):
        put(certified, ("bell-peng", "bell-peng"))
        certified.run("authority", "renewals", "--sign")
        outcomes.append(told(certified)["bell-peng"][0])
    assert outcomes == ["signed"] * 5 + ["refused"] * 2


class Waiting:
    """One request in no database."""

    def __init__(self, *devices: str) -> None:
        self.rows = {device: RenewalRow(device, "xihu", REQUEST, T0) for device in devices}
        self.away = False

    def renewals(self, *, devices: object = None, state: Renewal | None = None) -> list[RenewalRow]:
        if self.away:
            raise StoreError("away", retryable=True)
        return [row for row in self.rows.values() if state in (None, row.state)]

    def answer_renewal(self, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool:
        self.rows[row.device] = RenewalRow(row.device, row.community, row.request, row.asked_at, state, answer, at)
        return True

    def states(self) -> list[Renewal]:
        return [row.state for row in self.rows.values()]


def test_the_clerk_signs_as_soon_as_there_is_an_authority() -> None:
    waiting, signs = Waiting("bell-a", "bell-b"), [None, lambda row: f"for {row.device}"]
    clerk = Clerk(waiting, lambda: signs[0], lambda: T0)
    clerk.look()
    assert waiting.states() == [Renewal.WAITING] * 2
    del signs[0]
    clerk.look()
    assert [(row.state, row.answer) for row in waiting.rows.values()] == [
        (Renewal.SIGNED, "for bell-a"),
        (Renewal.SIGNED, "for bell-b"),
    ]


def test_what_cannot_be_signed_now_waits() -> None:
    """The issuing authority has ended, its key cannot be read: a person mends it, and nobody has to ask again."""
    waiting = Waiting("bell-a")

    def cannot(row: RenewalRow) -> str:
        raise RefusalError(say.ISSUING_ENDED, until="2026-11-30")

    Clerk(waiting, lambda: cannot, lambda: T0).look()
    assert waiting.states() == [Renewal.WAITING]

    def must_not(row: RenewalRow) -> str:
        raise RefusedError("no")

    assert sign_waiting(waiting, must_not, T0)[Renewal.REFUSED] == ["bell-a"]
    waiting.away = True
    Clerk(waiting, lambda: cannot, lambda: T0).look()


def test_the_clerk_counts_what_it_has_answered_and_what_waits() -> None:
    figures = Figures()

    def sign(row: RenewalRow) -> str:
        if row.device == "bell-c":
            raise RefusalError(say.ISSUING_ENDED, until="2026-11-30")
        if row.device == "bell-a":
            raise RefusedError("no")
        return "for you"

    Clerk(Waiting("bell-a", "bell-b", "bell-c"), lambda: sign, lambda: T0, figures).look()
    assert (figures.renewals_waiting, figures.renewals_signed, figures.renewals_refused) == (1, 1, 1)
    Clerk(Waiting("bell-a", "bell-b"), lambda: None, lambda: T0, figures).look()
    assert figures.renewals_waiting == 2
    Clerk(Waiting(), lambda: None, lambda: T0, figures).look()
    assert figures.renewals_waiting == 0


def test_a_relay_signs_where_the_authority_is(certified: Office, tmp_path: Path) -> None:
    assert signing_if_here(AuthoritySettings(directory=tmp_path / "nowhere"))() is None
    sign = signing_if_here(AuthoritySettings(directory=certified.folder / "authority"))()
    assert sign is not None
    chain = sign(RenewalRow("bell-peng", "xihu", request_of("bell-peng").decode(), T0))
    assert chain.count("BEGIN CERTIFICATE") == 2
    with pytest.raises(RefusedError):
        signing(AuthoritySettings(directory=certified.folder / "authority"))(
            RenewalRow("bell-wu", "xihu", request_of("bell-peng").decode(), T0)
        )


def test_a_request_that_was_overtaken_is_not_answered(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path / "relay.sqlite3")
    first = RenewalRow("bell-peng", "xihu", REQUEST, T0)
    store.commit(Batch(renewals={"bell-peng": first}))
    store.commit(Batch(renewals={"bell-peng": RenewalRow("bell-peng", "xihu", OTHER, T0)}))
    assert not store.answer_renewal(first, Renewal.SIGNED, CERTIFICATE, T0)
    assert [row.state for row in store.renewals()] == [Renewal.WAITING]
    store.close()
