"""``doorbell-relay alarms``, ``journal`` and ``rejected``, on a real database."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import pytest

from doorbell.service import ExitCode
from relay.adapters.store import SqlStore
from relay.commands.journal import harmless
from relay.commands.setting import Setting, console
from relay.commands.watching import LOOK_BACK, Watcher, follow
from relay.core.alarm import ClosedBy, Outcome
from relay.core.life import advance_alarm
from relay.core.steps import Surroundings
from relay.ports import Batch
from relay.settings import RelaySettings
from relay.texts import Language
from tests.relay.office import ALARM, AT, OTHER, Office, commit


def test_open_alarms_are_listed_with_names_and_stages(busy: Office) -> None:
    code, out, _ = busy.run("alarms", "list")
    assert code == 0
    row = next(line for line in out.splitlines() if ALARM[:8] in line)
    assert all(word in row for word in ("求助", "有人来了", "柳奶奶", "西湖山小区 3栋502", "1/4", "彭小平 (正在赶来)"))
    assert "正在响铃" in next(line for line in out.splitlines() if OTHER[:8] in line)


def test_a_narrow_terminal_cuts_no_word(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns the household's name used to be cut to a dot."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = busy.run("alarms", "list")
    assert code == 0
    assert "…" not in out
    assert all(word in out for word in (ALARM[:8], "柳奶奶", "2026-11-23", "彭小平"))


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
    assert (command.alarm, command.outcome) == (ALARM, Outcome.HOSPITAL)
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
    commit(store, advance_alarm(alarm, ClosedBy(Outcome.HELPED, "cli:x"), around, AT), AT)
    store.commit(Batch(commands_done={store.add_command(ALARM, Outcome.HELPED, "好", "cli:x"): "applied"}))
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
