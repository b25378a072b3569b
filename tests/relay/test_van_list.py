"""The list for the van: every home once, in order, with boxes, and nothing off the paper."""

from __future__ import annotations

import io
import stat
from dataclasses import replace

import pypdfium2

from relay.core.register import Register
from relay.register_file import parse_register
from relay.register_shapes import MAX_LABEL, MAX_PLACE
from relay.texts import Language
from relay.van_list import EDGE_MM, make_list, stops_of
from tests.relay.office import EXAMPLE, Office

REGISTER = parse_register(EXAMPLE.read_bytes())[0] or Register()


def test_homes_are_in_the_order_of_their_places_and_volunteers_after_them() -> None:
    stops = stops_of(REGISTER, [*REGISTER.devices.values()])
    homes = [stop for stop in stops if stop.devices[0].household is not None]
    assert stops[: len(homes)] == homes
    assert [stop.where for stop in homes] == sorted(home.place for home in REGISTER.households.values())
    assert sorted(device.id for stop in stops for device in stop.devices) == sorted(REGISTER.devices)
    assert next(stop.who for stop in stops if stop.devices[0].id == "bell-peng").startswith("彭小平")


def test_many_homes_with_the_longest_names_stay_on_the_paper() -> None:
    home = replace(REGISTER.households["liu"], label="龘" * MAX_LABEL, place="鑫" * MAX_PLACE)
    panel = replace(REGISTER.devices["button-liu"], id="w" * 63)
    register = replace(REGISTER, households={"liu": home}, devices={panel.id: panel})
    stops = stops_of(register, [panel]) * 30
    document = pypdfium2.PdfDocument(io.BytesIO(make_list(stops, "上门安装单 2026-11-30", Language.ZH)))
    text = "".join("".join(page.get_textpage().get_text_bounded() for page in document).split())
    assert text.count("w" * 63) == 30
    assert text.count("龘") == 30 * MAX_LABEL
    for page in document:
        image = page.render(scale=1).to_pil().convert("L").point(lambda dot: 255 if dot < 250 else 0)
        left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
        edge = EDGE_MM * 72 / 25.4 - 2
        assert min(left, top, image.width - right, image.height - bottom) >= edge


def test_on_the_terminal_and_as_a_file_that_only_its_owner_reads(office: Office) -> None:
    assert office.run("register", "import", str(office.register))[0] == 0
    code, out, _ = office.run("provision", "list", "button-liu", "bell-peng", "--language", "en")
    assert (code, out.count("☐ card in"), "柳奶奶" in out, "彭小平" in out) == (0, 2, True, True)
    to = office.folder / "van.pdf"
    code, out, _ = office.run("provision", "list", "button-liu", "bell-peng", "--to", str(to), "--language", "en")
    assert (code, "2 place(s), 2 device(s)" in out, stat.S_IMODE(to.stat().st_mode)) == (0, True, 0o600)
