"""docs/alarm-life.md is what the core does today."""

from pathlib import Path

import pytest

from relay.alarm_page import OUT, build_page, main
from relay.core.alarm import AlarmStage, Due

ROOT = Path(__file__).parents[2]


def test_the_page_in_docs_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--out", str(ROOT / OUT)]) == 0, capsys.readouterr().err


def test_check_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert main(["--check", "--out", str(page)]) == 1
    assert not page.exists()
    assert "python -m relay.alarm_page" in capsys.readouterr().err
    assert main(["--out", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == build_page()


def test_the_page_knows_every_stage_and_every_deadline() -> None:
    page = build_page()
    assert "|  | " + " | ".join(stage.value for stage in AlarmStage) + " |" in page
    for due in Due:
        assert f"| `{due.value}` |" in page


def test_nothing_but_ok_done_and_the_office_closes_an_alarm() -> None:
    arrows = [line for line in build_page().splitlines() if "--> closed" in line]
    said = {name for line in arrows for name in line.split(": ")[1].split("<br>")}
    assert said == {"OK pressed", "the office closes it", "volunteer a says done"}
