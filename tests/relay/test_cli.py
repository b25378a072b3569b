"""``doorbell-relay`` as a person at a terminal meets it, on a real database."""

import csv
import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.commands.journal import harmless
from relay.commands.program import main, take_language
from relay.commands.run import _Beat
from relay.commands.setting import Setting, console
from relay.commands.watching import LOOK_BACK, Watcher, follow
from relay.core.alarm import Accepted, Advance, ClosedBy, Outcome
from relay.core.life import advance_alarm, raise_alarm
from relay.core.register import Register
from relay.core.steps import Surroundings
from relay.ports import Batch, JournalRow, RejectedRow
from relay.register_file import parse_register, read_register
from relay.settings import RelaySettings
from relay.texts import Language

EXAMPLE = Path(__file__).parents[2] / "config" / "neighbourhood.example.toml"
AT = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
ALARM = "01938f3c-0000-4000-8000-000000000001"
OTHER = "01938fff-0000-4000-8000-000000000002"


@dataclass
class Office:
    """A terminal: runs commands, and has what they printed."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "relay.toml"

    @property
    def register(self) -> Path:
        return self.folder / "register.toml"

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self.capture.readouterr()
        code = main([*words, "--config", str(self.config)])
        return code, *self.capture.readouterr()

    def store(self) -> SqlStore:
        return SqlStore.open(self.folder / "data" / "relay.sqlite3")


@pytest.fixture(autouse=True)
def _no_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("LC_ALL", "LC_MESSAGES", "LANG", "COLUMNS", "DOORBELL_RELAY_CONFIG"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """A machine with settings and a register file, and no database yet."""
    made = Office(tmp_path, capsys)
    made.config.write_text('name = "test"\ndatabase = "data/relay.sqlite3"\n', encoding="utf-8")
    made.register.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return made


@pytest.fixture
def busy(office: Office) -> Office:
    """An office whose relay has had one alarm that somebody accepted, and one that nobody has answered."""
    assert office.run("register", "import", str(office.register))[0] == 0
    store = office.store()
    register = store.load_register()[1]
    around = Surroundings(register, frozenset(register.devices))
    first = raised(register, ALARM, "liu", AT)
    taken = advance_alarm(first.alarm, Accepted("peng", "bell-peng", AT), around, AT + timedelta(seconds=20))
    for at, advance in ((AT, first), (AT + timedelta(seconds=20), taken), (AT, raised(register, OTHER, "chen", AT))):
        commit(store, advance, at)
    store.commit(Batch(rejected=[RejectedRow(AT, "doorbell/v1/x/y/event", b"{\x1b[31m", "not_json", "no \x1b JSON")]))
    store.close()
    return office


def raised(register: Register, alarm_id: str, household: str, at: datetime) -> Advance:
    return raise_alarm(
        alarm_id=alarm_id,
        kind=AlarmKind.HELP,
        household=household,
        source=f"button-{household}",
        policy=register.policy_for(household, AlarmKind.HELP),
        at=at,
        seq=None,
        around=Surroundings(register, frozenset(register.devices)),
        now=at,
    )


def commit(store: SqlStore, advance: Advance, at: datetime) -> None:
    after = advance.alarm
    rows = [
        JournalRow(at, after.community, note.type.value, after.household, after.id, data=dict(note.data), after=after)
        for note in advance.notes
    ]
    store.commit(Batch(journal=rows, alarms={after.id: after}))


# ---------------------------------------------------------------------------------------------------------------------
# Help, languages, mistakes at the keyboard


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


# ---------------------------------------------------------------------------------------------------------------------
# Register


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
    assert read_register(kept) == before
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


# ---------------------------------------------------------------------------------------------------------------------
# Alarms


def test_open_alarms_are_listed_with_names_and_stages(busy: Office) -> None:
    code, out, _ = busy.run("alarms", "list")
    assert code == 0
    row = next(line for line in out.splitlines() if ALARM[:8] in line)
    assert all(word in row for word in ("求助", "有人来了", "柳奶奶", "西湖山小区 3栋502", "1/4", "彭小平 (正在赶来)"))
    assert "正在响铃" in next(line for line in out.splitlines() if OTHER[:8] in line)


def test_alarms_for_programs_have_stable_keys(busy: Office) -> None:
    code, out, _ = busy.run("alarms", "list", "--json")
    by_id = {alarm["id"]: alarm for alarm in json.loads(out)}
    assert code == 0
    assert by_id.keys() == {ALARM, OTHER}
    assert by_id[ALARM]["stage"] == "accepted"
    assert by_id[ALARM]["raised_at"] == "2026-11-23T06:43:00.000Z"
    assert by_id[ALARM]["deadline"] == "2026-11-23T06:53:00.000Z"
    helper = {"person": "peng", "device": "bell-peng", "accepted_at": "2026-11-23T06:43:00.000Z", "state": "coming"}
    assert by_id[ALARM]["helpers"] == [helper]


def test_one_alarm_is_shown_with_its_timeline_by_the_start_of_its_id(busy: Office) -> None:
    code, out, _ = busy.run("alarms", "show", "01938f3")
    assert code == 0
    assert ALARM in out
    assert "+0.000 s  开始呼叫  第 1 步：呼叫 bell-peng，等待 45 秒" in out
    assert "+20.000 s" in out
    assert "彭小平 说：我来（bell-peng）" in out
    shown = json.loads(busy.run("alarms", "show", "01938f3", "--json")[1])
    assert [line["type"] for line in shown["timeline"]] == ["raised", "step_started", "accepted"]


@pytest.mark.parametrize(("prefix", "told"), [("01938f", "有 2 个警报"), ("abc", "没有编号以 abc"), ("", "没有编号")])
def test_an_id_that_names_no_or_several_alarms_is_refused(busy: Office, prefix: str, told: str) -> None:
    code, _, err = busy.run("alarms", "show", prefix)
    assert code == ExitCode.SETUP
    assert told in err


def test_closing_hands_the_relay_a_command_and_says_when_it_is_not_there(busy: Office) -> None:
    words = ("alarms", "close", "01938f3", "--outcome", "hospital", "--note", "送医", "--yes", "--wait", "0")
    code, _, err = busy.run(*words)
    assert code == 0
    assert "还没有执行" in err
    store = busy.store()
    (command,) = store.poll()[1]
    store.close()
    assert (command.alarm, command.outcome, command.note) == (ALARM, Outcome.HOSPITAL, "送医")
    assert command.by.startswith("cli")


@pytest.mark.parametrize(("result", "code", "told"), [("applied", 0, "已结束：已帮助"), ("not_open", 2, "not_open")])
def test_closing_waits_for_what_the_relay_says(
    busy: Office, monkeypatch: pytest.MonkeyPatch, result: str, code: int, told: str
) -> None:
    """The relay answers while the command waits."""
    add = SqlStore.add_command

    def add_and_do(store: SqlStore, *arguments: str) -> int:
        number = add(store, *arguments)  # type: ignore[arg-type]
        store.commit(Batch(commands_done={number: result}))
        return number

    monkeypatch.setattr(SqlStore, "add_command", add_and_do)
    done, out, err = busy.run("alarms", "close", ALARM, "--outcome", "helped", "--yes")
    assert done == code
    assert told in out + err


def test_closing_asks_first(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, _ = busy.run("alarms", "close", ALARM, "--outcome", "cancelled")
    assert code == 1
    assert "结束 柳奶奶（西湖山小区 3栋502）的警报 01938f3c，阶段：有人来了，结果：已取消？" in out
    store = busy.store()
    assert store.poll()[1] == []
    store.close()


def test_a_closed_alarm_cannot_be_closed_and_is_listed_with_all(busy: Office) -> None:
    store = busy.store()
    (alarm,) = [alarm for alarm in store.alarms() if alarm.id == ALARM]
    around = Surroundings(store.load_register()[1], frozenset())
    commit(store, advance_alarm(alarm, ClosedBy(Outcome.HELPED, "cli:x", "好"), around, AT), AT)
    store.close()
    assert busy.run("alarms", "close", ALARM, "--outcome", "helped", "--yes")[0] == ExitCode.SETUP
    assert ALARM[:8] not in busy.run("alarms", "list")[1]
    assert "已帮助" in busy.run("alarms", "list", "--all")[1]
    assert "备注: 好" in busy.run("alarms", "show", ALARM)[1]


@pytest.mark.parametrize("note", ["x" * 501, "a\nb", "\x1b[31m"])
def test_a_note_that_would_spoil_a_screen_is_refused(busy: Office, note: str) -> None:
    assert busy.run("alarms", "close", ALARM, "--outcome", "helped", "--note", note, "--yes")[0] == ExitCode.SETUP


def watching(office: Office) -> tuple[Setting, SqlStore]:
    settings = RelaySettings(name="test", database=office.folder / "data" / "relay.sqlite3")
    return Setting(office.config, settings, Language.ZH), office.store()


def test_following_gives_each_line_once_and_what_came_just_before(busy: Office) -> None:
    _, store = watching(busy)
    register = store.load_register()[1]
    closed = advance_alarm(store.alarms()[0], ClosedBy(Outcome.HELPED, "x"), Surroundings(register, frozenset()), AT)
    # The relay's clock is set back an hour between the first look and the second: nothing may be missed.
    pauses: list[Callable[[], object]] = [lambda: commit(store, closed, AT - timedelta(hours=1)), int]

    def pause() -> None:
        pauses.pop(0)()

    looks = list(islice(follow(store, since=AT + LOOK_BACK, pause=pause), 3))
    store.close()
    assert [[line.type for line in look] for look in looks] == [
        ["raised", "step_started", "accepted", "raised", "step_started"],
        ["closed"],
        [],
    ]


def test_watching_prints_lines_where_there_is_no_terminal(busy: Office) -> None:
    setting, store = watching(busy)
    busy.capture.readouterr()
    with Watcher(setting, store) as watcher:
        watcher.show(list(store.journal()), AT)
        watcher.show([], AT)
    store.close()
    lines = busy.capture.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[2].endswith("  01938f3c  柳奶奶  [接下]  彭小平 说：我来（bell-peng）")


def test_watching_shows_a_live_table_at_a_terminal(busy: Office) -> None:
    setting, store = watching(busy)
    screen = io.StringIO()
    terminal = console()
    terminal.file, terminal._force_terminal, terminal.width = screen, True, 150
    with Watcher(replace(setting, out=terminal), store) as watcher:
        watcher.show(list(store.journal()), AT + timedelta(seconds=65))
    store.close()
    shown = screen.getvalue()
    assert "未结束的警报" in shown
    assert "1:05" in shown
    assert "彭小平 说：我来" in shown


def test_watch_ends_well_at_ctrl_c(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("relay.commands.alarms.time.sleep", interrupted)
    assert busy.run("alarms", "watch")[0] == 0


# ---------------------------------------------------------------------------------------------------------------------
# Journal, rejected


def test_the_journal_as_csv_has_words_in_both_languages(busy: Office) -> None:
    chinese = list(csv.DictReader(io.StringIO(busy.run("journal")[1])))
    english = list(csv.DictReader(io.StringIO(busy.run("journal", "--language", "en")[1])))
    assert [row["类型说明"] for row in chinese] == ["按铃求助", "开始呼叫", "接下", "按铃求助", "开始呼叫"]
    assert [row["type in words"] for row in english][:3] == ["raised", "step started", "accepted"]
    assert chinese[2]["经过"] == "peng 说：我来（bell-peng）"  # ids only: the file will travel
    assert json.loads(english[2]["data"])["person"] == "peng"
    assert datetime.fromisoformat(english[2]["time"]) == AT + timedelta(seconds=20)


def test_the_journal_is_filtered(busy: Office) -> None:
    def types(*words: str) -> list[str]:
        code, out, _ = busy.run("journal", "--format", "jsonl", *words)
        assert code == 0
        return [json.loads(line)["type"] for line in out.splitlines()]

    assert types("--alarm", "01938f3") == ["raised", "step_started", "accepted"]
    assert types("--community", "xihushan", "--since", "2026-11-23T06:43:20Z") == ["accepted"]
    assert types("--until", "2026-11-23T06:43:20+00:00") == ["raised", "step_started"] * 2
    assert types("--community", "elsewhere") == []
    assert types("--since", "2027-01-01") == []
    assert busy.run("journal", "--since", "yesterday")[0] == ExitCode.SETUP


@pytest.mark.parametrize(("language", "start"), [("zh-CN", b"\xef\xbb\xbf\xe5"), ("en", b"no,")])
def test_a_chinese_csv_file_has_the_mark_that_excel_needs(busy: Office, language: str, start: bytes) -> None:
    target = busy.folder / "journal.csv"
    code, out, err = busy.run("journal", "--output", str(target), "--language", language)
    assert (code, out) == (0, "")
    assert "5" in err
    assert target.read_bytes().startswith(start)
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless(f"a{cell}") == f"a{cell}"
    assert harmless(-1) == -1


def test_what_was_rejected_is_shown_and_cannot_steer_the_terminal(busy: Office) -> None:
    code, out, _ = busy.run("rejected", "list")
    assert code == 0
    assert "not_json" in out
    assert "{\\x1b[31m" in out
    assert "\x1b" not in out
    (told,) = json.loads(busy.run("rejected", "list", "--json")[1])
    assert told["payload"] == "{\x1b[31m"


# ---------------------------------------------------------------------------------------------------------------------
# Run


class Beats:
    def __init__(self, interval_s: float | None) -> None:
        self.interval_s = interval_s
        self.count = 0

    def watchdog_interval_s(self) -> float | None:
        return self.interval_s

    def watchdog(self) -> None:
        self.count += 1


@pytest.mark.parametrize(("interval_s", "count"), [(None, 0), (1_000.0, 1)])
def test_the_watchdog_is_fed_but_not_at_every_turn(interval_s: float | None, count: int) -> None:
    service = Beats(interval_s)
    beat = _Beat(service)  # type: ignore[arg-type]
    for _ in range(100):
        beat()
    assert service.count == count


@pytest.fixture
def process(busy: Office) -> Iterator[subprocess.Popen[str]]:
    """A relay of its own process whose broker is not there, after its start."""
    # Port 9 (discard) of loopback: nothing listens there, so the link goes on trying.
    busy.config.write_text(busy.config.read_text(encoding="utf-8") + "[mqtt]\nport = 9\n", encoding="utf-8")
    words = [sys.executable, "-m", "relay", "run", "--config", str(busy.config)]
    started = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=EXAMPLE.parents[1])
    patience = threading.Timer(30, started.kill)
    patience.start()
    assert started.stderr is not None
    assert any('"relay.started"' in line for line in started.stderr), "the relay ended before it had started"
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.stderr.close()
        patience.cancel()


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_stops_in_order_at_a_signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    assert process.wait() == ExitCode.OK
    assert process.stderr is not None
    last = json.loads(process.stderr.read().splitlines()[-1])
    assert last["event"] == "relay.stopped"


@pytest.mark.system
def test_a_second_relay_on_the_same_database_is_refused(busy: Office, process: subprocess.Popen[str]) -> None:
    code, _, err = busy.run("run")
    assert code == ExitCode.SETUP
    assert f"another relay (process {process.pid}) owns the database" in err
    assert busy.run("alarms", "list")[0] == 0
