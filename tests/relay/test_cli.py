"""``doorbell-relay`` as a person at a terminal meets it: help, languages, mistakes, the register."""

from contextlib import closing

import pytest

from doorbell.service import ExitCode
from relay.commands.program import main, take_language
from relay.register_file import parse_register, read_register
from tests.relay.office import EXAMPLE, OTHER, Office
from tests.relay.search import found

pytestmark = pytest.mark.usefixtures("no_locale")


@pytest.mark.parametrize("locale", [None, "C.UTF-8", "zh_CN.UTF-8", "fr_FR.UTF-8"])
def test_help_is_chinese_unless_asked_otherwise(
    locale: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if locale is not None:
        monkeypatch.setenv("LANG", locale)
    assert main(["--help"]) == 0
    assert "爱心门铃的中继" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--language", "en", "--help"], ["register", "import", "--help", "--language=en_GB"]]
)
def test_help_is_english_by_the_option(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "Options" in told
    assert not any("\u4e00" <= char <= "\u9fff" for char in told)


@pytest.mark.parametrize(
    "words", [[], ["run"], ["alarms", "list"], ["alarms", "close"], ["register", "export"], ["register", "import"]]
)
def test_a_flag_is_shown_without_a_value(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert "--help" in told
    assert "<bool>" not in told


def test_help_is_english_by_the_locale_and_chinese_by_the_option_against_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    assert main(["alarms", "--help"]) == 0
    assert "List the open alarms." in capsys.readouterr().out
    assert main(["alarms", "--help", "--language", "zh"]) == 0
    assert "列出未结束的警报。" in capsys.readouterr().out


def test_output_speaks_the_language_of_the_settings(office: Office) -> None:
    office.config.write_text(office.config.read_text() + 'language = "en"\n', encoding="utf-8")
    assert "imported" in office.run("register", "import", str(office.register))[1]


def test_an_unknown_language_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alarms", "list", "--language", "fr"]) == ExitCode.SETUP
    assert "zh-CN / en" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "left", "asked"),
    [
        (["alarms", "list"], ["alarms", "list"], None),
        (["--language", "en", "alarms"], ["alarms"], "en"),
        (["alarms", "--language=zh", "list"], ["alarms", "list"], "zh"),
        (["alarms", "--language"], ["alarms"], ""),
        (["show", "--", "--language", "en"], ["show", "--", "--language", "en"], None),
    ],
)
def test_the_language_is_taken_from_anywhere_in_the_line(words: list[str], left: list[str], asked: str | None) -> None:
    assert take_language(words) == (left, asked)


@pytest.mark.parametrize("words", [["alarms", "list"], ["journal"], ["rejected", "list"], ["register", "export", "-"]])
def test_without_a_database_the_remedy_is_told_and_none_is_made(office: Office, words: list[str]) -> None:
    code, _, err = office.run(*words)
    assert code == ExitCode.SETUP
    assert "doorbell-relay register import" in err
    assert not (office.folder / "data").exists()


def test_settings_that_are_missing_or_wrong_are_told(office: Office) -> None:
    office.config.write_text('nme = "x"\n', encoding="utf-8")
    code, _, err = office.run("alarms", "list")
    assert code == ExitCode.SETUP
    assert "did you mean 'name'?" in err
    assert "database: missing" in err


def test_a_database_that_is_none_is_told(office: Office) -> None:
    (office.folder / "data").mkdir()
    (office.folder / "data" / "relay.sqlite3").write_text("this is a letter to my aunt, not a database" * 100)
    code, _, err = office.run("alarms", "list")
    assert code == ExitCode.UNAVAILABLE
    assert "数据库不能用" in err


def test_a_register_is_imported_and_exported_unchanged(office: Office) -> None:
    code, out, err = office.run("register", "import", str(office.register))
    assert (code, err) == (0, "")
    assert "登记表现在是第 1 版" in out
    target = office.folder / "copy.toml"
    code, out, _ = office.run("register", "export", str(target))
    assert code == 0
    assert "住户 4" in out
    assert read_register(target) == read_register(office.register)
    assert target.stat().st_mode & 0o777 == 0o600
    assert office.run("register", "export", str(target))[0] == ExitCode.SETUP
    assert office.run("register", "export", str(target), "--force")[0] == 0
    assert parse_register(office.run("register", "export", "-")[1])[0] == read_register(office.register)


def test_an_import_tells_what_changes_and_how_to_go_back(office: Office) -> None:
    office.run("register", "import", str(office.register))
    before = read_register(office.register)
    changed = EXAMPLE.read_text(encoding="utf-8").replace("柳奶奶", "柳婆婆").replace('"bell-zhang"', '"bell-new"')
    office.register.write_text(changed, encoding="utf-8")
    code, out, _ = office.run("register", "import", str(office.register))
    assert code == 0
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["住户", "0", "1", "0", "~liu"],
        ["设备", "1", "0", "1", "-bell-zhang  +bell-new"],
    ]
    kept = office.folder / "data" / "relay-register-1.toml"
    assert f"doorbell-relay register import {kept}" in out
    assert found(["柳奶奶", "彭小平"], [office.folder / "data"]) == []
    assert office.run("register", "check", str(kept))[0] == 0
    assert office.run("register", "import", str(kept))[0] == 0
    store = office.store()
    assert store.load_register() == (3, before)
    store.close()


def test_a_dry_run_changes_nothing_and_the_same_again_is_no_import(office: Office) -> None:
    code, out, _ = office.run("register", "import", str(office.register), "--dry-run")
    assert code == 0
    assert "liu chen zhao sun" in out
    assert "没有改动" in out
    assert not (office.folder / "data").exists()
    assert "第 1 版" in office.run("register", "import", str(office.register))[1]
    assert "不用导入" in office.run("register", "import", str(office.register))[1]
    office.register.write_text(EXAMPLE.read_text(encoding="utf-8").replace("柳奶奶", "柳婆婆"), encoding="utf-8")
    assert "~liu" in office.run("register", "import", str(office.register), "--dry-run")[1]
    assert "柳奶奶" in office.run("register", "export", "-")[1]


@pytest.mark.parametrize("command", ["check", "import"])
def test_a_register_with_errors_is_refused_whole_and_every_line_is_named(office: Office, command: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace('"peng", "zhang"', '"pong", "zhang"').replace("= 300", "= 0")
    office.register.write_text(text, encoding="utf-8")
    code, _, err = office.run("register", command, str(office.register))
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if '"pong"' in line or "= 0" in line]
    assert code == ExitCode.SETUP
    for line, part in zip(lines, ("[[person]]；是不是 peng？", "1 到 86400"), strict=True):
        assert any(told.startswith(f"{office.register}:{line}: 错误:") and part in told for told in err.splitlines())
    assert "2 个错误，0 个警告" in err
    assert not (office.folder / "data").exists()


def test_warnings_are_told_and_do_not_refuse(office: Office) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace('volunteers = ["xu", "peng"]\n', "")
    office.register.write_text(text, encoding="utf-8")
    code, out, err = office.run("register", "check", str(office.register), "--language", "en")
    assert code == 0
    assert "warning: household.sun: has no volunteers" in err
    assert "the register has no errors: communities 1, households 4" in out


def test_a_register_is_checked_where_no_relay_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "check", str(EXAMPLE)]) == 0
    assert "登记表没有错误" in capsys.readouterr().out


def test_removing_a_household_with_an_open_alarm_is_warned_of(busy: Office) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    start = text.index('[[household]]\nid = "chen"')
    busy.register.write_text(text[:start] + text[text.index("[[household]]", start + 1) :], encoding="utf-8")
    code, _, err = busy.run("register", "import", str(busy.register), "--dry-run")
    assert code == 0
    assert err.strip() == f"警告: 住户 chen 将被删除，但还有未结束的警报 {OTHER}（正在响铃）"


def test_a_household_with_an_open_alarm_stays_in_its_community(busy: Office) -> None:
    """Its bells could not answer the alarm any more, and of several relays another one would raise a second."""
    text = EXAMPLE.read_text(encoding="utf-8")
    busy.register.write_text(text.replace('"xihushan"', '"donghu"'), encoding="utf-8")
    for more in ([], ["--dry-run"]):
        code, out, err = busy.run("register", "import", str(busy.register), *more)
        assert (code, "已导入" in out) == (ExitCode.SETUP, False)
        assert "要换到社区 donghu，但还有未结束的警报" in err.replace("\n", "")
    with closing(busy.store()) as store:
        assert store.load_register()[0] == 1
