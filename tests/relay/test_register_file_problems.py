"""Every kind of mistake in a register file is told with its line, in both languages, and nothing else is."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from doorbell.errors import SetupError
from doorbell.wire.messages import MAX_PEERS
from relay import register_check
from relay.register_check import Severity, check_register
from relay.register_file import RegisterFileError, load_register_file, parse_register, read_register
from relay.texts import Language

BASE = """\
[[community]]
id = "lake"
name = "西湖山小区"

[[person]]
id = "peng"
community = "lake"
name = "彭小平"
bells = ["bell-peng"]

[[person]]
id = "duty"
community = "lake"
name = "社区值班"
bells = ["bell-duty"]

[[group]]
id = "lake-office"
community = "lake"
kind = "office"
name = "社区办公室"
members = ["duty"]
hooks = ["board"]

[[hook]]
id = "board"
community = "lake"
url = "https://example.org/hook"

[[household]]
id = "liu"
community = "lake"
label = "柳奶奶"
place = "3栋502"
panels = ["button-liu"]
volunteers = ["peng"]
policies = { help = "night" }

[[policy]]
id = "night"
arrive_wait_s = 300
steps = [
    { call = ["volunteer:1"], wait_s = 45 },
    { call = ["group:lake-office", "hook:board"], wait_s = 45 },
]

[[device]]
id = "bell-duty"
volume = 80
"""
STEP = '{ call = ["volunteer:1"], wait_s = 45 },'
HOOK = '[[hook]]\nid = "other"\ncommunity = "lake"\nurl = "http://x"\n\n[[device]]'
DEVICE = "[[device]]"
STEPS = BASE[BASE.index("steps = [") : BASE.index("\n[[device]]")]
BELLS = ", ".join(f'"b{number}"' for number in range(MAX_PEERS))


@dataclass(frozen=True)
class Case:
    """BASE with ``old`` replaced by ``new`` has one problem: on the line of ``old``, or on the one marked ``#!``."""

    old: str
    new: str
    zh: str
    en: str
    also: tuple[str, str] = ("", "")
    """A replacement elsewhere, where something is left out or too much."""

    def text(self) -> str:
        assert self.old in BASE
        assert self.also[0] in BASE
        return BASE.replace(self.old, self.new, 1).replace(*self.also, 1)

    def line(self) -> int:
        marked = [number for number, line in enumerate(self.text().splitlines(), start=1) if "#!" in line]
        return marked[0] if marked else BASE.count("\n", 0, BASE.index(self.old)) + 1


GRAMMAR = {
    "quote not closed": Case('"彭小平"', '"彭小平', "引号没有成对", "closing quote"),
    "literal quote not closed": Case('"彭小平"', "'彭小平", "引号没有成对", "closing quote"),
    "long text not closed": Case('"彭小平"', '"""彭小平', "引号没有成对", "closing quote"),
    "full-width quotes": Case('"彭小平"', "“彭小平”", "半角，这里有 “ ”", "must be ASCII; here is “ ”"),
    "full-width comma": Case('-office", "h', '-office"， "h', "这里有 ，", "here is ，"),
    "full-width equals": Case('place = "', 'place ＝ "', "这里有 ＝", "here is ＝"),
    "list not closed": Case('["peng"]', '["peng"', "方括号没有成对", "without its ']'"),
    "list not closed at the end": Case("volume = 80\n", "volume = [80\n", "方括号没有成对", "without its ']'"),
    "comma missing": Case('-office", "h', '-office" "h', "少了逗号", "comma missing"),
    "table not closed": Case('{ help = "night" }', '{ help = "night"', "花括号没有成对", "without its '}'"),
    "key twice": Case('place = "3栋502"', 'place = "3栋502"\nplace = "4栋"  #!', "写了两次", "written twice"),
    "no equals sign": Case('place = "3', 'place "3', "少了等号", "no '='"),
    "bare word": Case('"3栋502"', "home", "值写得不对", "not a value"),
    "no quotes": Case('"3栋502"', "3栋502", "多余的内容", "follows the value"),
    "two on a line": Case('"3栋502"', '"3栋502" x = 1', "多余的内容", "follows the value"),
    "broken header": Case("[[household]]", "[[household]", "表头写得不对", "broken table header"),
    "raw control character": Case("3栋502", "3栋\x00502", "控制字符", "control character"),
    "bad escape": Case("3栋502", r"3栋\q502", "语法错误", "TOML syntax"),
    "endless number": Case("volume = 80", f"volume = {'8' * 5000}", "语法错误", "TOML syntax"),
}
SHAPES = {
    "unknown table": Case("[[device]]", "[[devices]]", "是不是 device？", "did you mean device?"),
    "single brackets": Case("[[device]]", "[device]", "要写成 [[device]]", "write [[device]]"),
    "single after double": Case(DEVICE, HOOK.replace("[[hook]]", "[hook]  #!"), "两层方括号", "two brackets"),
    "unknown key": Case('place = "3', 'plac = "3', "是不是 place？", "did you mean place?"),
    "unknown key of a step": Case(STEP, STEP.replace(" }", ", wait = 4 }"), "是不是 wait_s？", "did you mean wait_s?"),
    "kind without policies": Case("{ help = ", '{ test = "night", help = ', "没有这个键", "unknown key"),
    "label missing": Case("[[household]]", "[[household]]", "缺少 label", "label is", ('label = "柳奶奶"\n', "")),
    "wait missing": Case(STEP, '{ call = ["volunteer:1"] },', "缺少 wait_s", "wait_s is missing"),
    "number for text": Case('"柳奶奶"', "5", "文字，现在是 整数", "a text in quotes, not a number"),
    "date for text": Case('"柳奶奶"', "2026-11-23 06:43:00", "现在是 日期", "not a date"),
    "text for list": Case('volunteers = ["peng"]', 'volunteers = "peng"', "要写成列表", "must be a list"),
    "number in list": Case('["peng"]', '[\n "peng",\n 7, #!\n]', "写成引号里的文字", "a text in quotes"),
    "text for number": Case("= 80", '= "80"', "整数，现在是 文字", "a whole number, not a text"),
    "truth for number": Case("= 80", "= true", "现在是 真假值", "not true or false"),
    "fraction for number": Case("= 80", "= 80.5", "现在是 小数", "with a fraction"),
    "text for table": Case('{ help = "night" }', '"night"', "键 = 值", "must be a table"),
    "text for step": Case(STEP, '"volunteer:1",', "键 = 值", "must be a table"),
    "texts for rows": Case(DEVICE, "x = 1\n[[device]]", "没有这个键", "unknown key"),
}
VALUES = {
    "id with capitals": Case(DEVICE, HOOK.replace('"other"', '"Other"  #!'), "'Other' 不能用", "'Other' is no id"),
    "id with underscore": Case("button-liu", "button_liu", "小写英文字母", "lower-case letters"),
    "id too long": Case("button-liu", "b" * 64, "最多 63 个字符", "at most 63"),
    "id of a relay": Case("button-liu", "relay-liu", "留给中继", "the relay's own"),
    "empty label": Case('"柳奶奶"', '" "', "不能为空", "not be empty"),
    "long label": Case("柳奶奶", "柳" * 41, "41 个字，最多 40", "41 characters, at most 40"),
    "long name": Case("彭小平", "彭" * 41, "最多 40", "at most 40"),
    "long place": Case("3栋502", "栋" * 61, "最多 60", "at most 60"),
    "line break": Case("3栋502", r"3栋\n502", "U+000A", "U+000A"),
    "turned direction": Case("3栋502", r"3栋\u202e502", "U+202E", "U+202E"),
    "long wait": Case("= 300", "= 86401", "1 到 86400", "use 1 to 86400"),
    "no wait": Case(STEP, STEP.replace("45", "0"), "1 到 86400", "use 1 to 86400"),
    "loud": Case("= 80", "= 101", "0 到 100", "use 0 to 100"),
    "report interval": Case("volume = 80", "report_interval_s = 1", "5 到 3600", "use 5 to 3600"),
    "language": Case('"西湖山小区"', '"西湖山小区"\nlanguage = "zh-TW"  #!', "zh-CN, en", "use zh-CN, en"),
    "mistake": Case("arrive_wait_s = 300", 'on_mistake = "lookin"', "是不是 look-in？", "did you mean look-in?"),
    "url": Case("https://example", "ftp://example", "http:// 或 https://", "http:// or https://"),
    "secret": Case(DEVICE, HOOK.replace("\n\n", '\nsecret_file = "key"  #!\n\n'), "以 / 开头", "from '/'"),
    "steps missing": Case("[[policy]]", "[[policy]]", "缺少 steps", "steps is missing", (STEPS, "")),
    "many steps": Case("steps", "steps", "21 步，最多 20", "21 steps, at most 20", (STEP, f"{STEP}\n" * 20)),
    "step calls nobody": Case('["volunteer:1"]', "[]", "没有呼叫任何人", "calls nobody"),
    "unknown target": Case("volunteer:1", "neighbour", "不能呼叫 'neighbour'", "cannot call 'neighbour'"),
    "no such volunteer": Case("volunteer:1", "volunteer:0", "volunteer:1", "use volunteer:1"),
    "target without name": Case("volunteer:1", "group", "group:名称", "group:NAME"),
}
TOGETHER = {
    "id twice": Case(DEVICE, HOOK.replace('"other"', '"board"  #!'), "第 26 行已经用过", "line 26 has it already"),
    "device twice": Case(
        '"bell-duty"', '"bell-duty", "bell-peng"', "第 9 行属于 person peng", "person peng already, on line 9"
    ),
    "panel is a bell": Case('"bell-duty"', '"bell-duty", "button-liu"', "第 35 行属于 household liu", "on line 35"),
    "volunteer twice": Case('volunteers = ["peng"]', 'volunteers = ["peng", "peng"]', "写了两次", "named twice"),
    "no such community": Case(DEVICE, HOOK.replace('"lake"', '"lak"  #!'), "；是不是 lake？", "did you mean lake?"),
    "no such person": Case('= ["peng"]', '= ["pen"]', "[[person]]；是不是 peng？", "did you mean peng?"),
    "no such member": Case('["duty"]', '["duty", "xu"]', "编号为 xu 的 [[person]]", "[[person]] with the id xu"),
    "no such hook": Case('["board"]', '["bord"]', "[[hook]]；是不是 board？", "did you mean board?"),
    "no such policy": Case('{ help = "night" }', '{ help = "day" }', "编号为 day 的", "[[policy]] with the id day"),
    "no such group": Case("group:lake-office", "group:medical", "编号或种类为 medical", "id or kind medical"),
    "no such target hook": Case("hook:board", "hook:boar", "是不是 board？", "did you mean board?"),
    "no such device": Case('id = "bell-duty"', 'id = "bell-dut"', "是不是 bell-duty？", "did you mean bell-duty?"),
    "other community": Case(
        DEVICE,
        '[[community]]\nid = "hill"\nname = "山"\n[[group]]\nid = "hill-office"\ncommunity = "hill"\n'
        'kind = "office"\nname = "办公室"\nmembers = ["peng"]  #!\n[[device]]',
        "peng 属于小区 lake，不属于 hill",
        "peng is of the community lake, not hill",
    ),
    "many bells": Case("volunteers", "volunteers", "17 个门铃", "17 bells", ('"bell-peng"', f'"bell-peng", {BELLS}')),
    "many panels": Case("bells", "bells", "17 个面板", "with 17 panels", ('"button-liu"', f'"button-liu", {BELLS}')),
}
WARNINGS = {
    "no volunteers": Case("[[household]]", "[[household]]", "没有志愿者", "no volunteers", ('["peng"]', "[]")),
    "no panel": Case("[[household]]", "[[household]]", "没有面板", "no panel", ('["button-liu"]', "[]")),
    "no bell": Case("[[person]]", "[[person]]", "peng 是志愿者，却没有门铃", "without a bell", ('["bell-peng"]', "[]")),
    "no office": Case("[[community]]", "[[community]]", "没有 kind", "no group with kind", ('"office"', '"medical"')),
    "silent group": Case("[[group]]", "[[group]]", "没有人知道", "no member", ('["duty"]\nhooks = ["board"]', "[]")),
}
ERRORS = {**GRAMMAR, **SHAPES, **VALUES, **TOGETHER}


def test_the_register_that_the_cases_spoil_has_no_problem() -> None:
    assert check_register(BASE) == []


@pytest.mark.parametrize("case", ERRORS.values(), ids=list(ERRORS))
def test_an_error_is_told_with_its_line_and_nothing_else_is(case: Case) -> None:
    problems = check_register(case.text())
    assert [(p.line, p.severity) for p in problems] == [(case.line(), Severity.ERROR)], problems
    assert case.zh in problems[0].message_zh
    assert case.en in problems[0].message_en
    register, again = parse_register(case.text().encode())
    assert register is None
    assert again == problems


@pytest.mark.parametrize("case", WARNINGS.values(), ids=list(WARNINGS))
def test_a_warning_does_not_make_a_register_unusable(case: Case) -> None:
    register, problems = parse_register(case.text())
    assert [(p.line, p.severity) for p in problems] == [(case.line(), Severity.WARNING)], problems
    assert case.zh in problems[0].message_zh
    assert case.en in problems[0].message_en
    assert register is not None


def test_every_mistake_is_told_at_once() -> None:
    """Two broken lines, a misspelt key, a bad reference and a duplicate, in the order of their lines."""
    text = (
        BASE.replace('name = "彭小平"', "name = “彭小平”")
        .replace('place = "3栋502"', 'plase = "3栋502"')
        .replace('["peng"]', '["pengg"]')
        .replace("arrive_wait_s = 300", "arrive_wait_s 300")
        .replace('[[device]]\nid = "bell-duty"', '[[hook]]\nid = "board"\ncommunity = "lake"\nurl = "x"')
    )
    told = [(p.line, p.key, p.message_en.split(";")[0]) for p in check_register(text)]
    assert told == [
        (8, "", "TOML syntax: quotes, commas, equals signs and brackets must be ASCII"),
        (34, "household.liu.plase", "unknown key"),
        (36, "household.liu.volunteers[1]", "there is no [[person]] with the id pengg"),
        (41, "", "no '=' after the key"),
        (48, "hook.board.id", "the id board is used twice: line 26 has it already"),
        (50, "hook.board.url", "must be an address that begins with http:// or https://"),
        (51, "hook.board.volume", "unknown key"),
    ]


def test_what_stands_on_a_line_that_cannot_be_read_is_not_told_to_be_missing() -> None:
    text = BASE.replace('id = "peng"', 'id = "peng')
    assert [p.line for p in check_register(text)] == [6]


@pytest.mark.parametrize("name", ["pen}g", "{peng", "pe{0}ng", "pe{x.y}ng"])
def test_braces_in_a_name_that_is_nearly_another_are_only_characters(name: str) -> None:
    """They used to be filled in as a placeholder, which ended the check with an exception of ``str.format``."""
    problems = check_register(BASE.replace('id = "peng"', f'id = "{name}"', 1))
    hints = [problem for problem in problems if f"did you mean {name}?" in problem.message_en]
    assert hints
    assert all(f"是不是 {name}？" in problem.message_zh for problem in hints)


@pytest.mark.parametrize("community", ['["lake"]', "{a = 1}", "7", "[[1]]"])
def test_an_office_whose_community_is_no_text_is_told(community: str) -> None:
    """A list there used to end the check with a ``TypeError``."""
    office = (
        f'\n[[group]]\nid = "office-2"\ncommunity = {community}\nkind = "office"\nname = "办公室"\nmembers = ["peng"]\n'
    )
    problems = check_register(BASE + office)
    assert [problem.key for problem in problems if problem.severity is Severity.ERROR] == ["group.office-2.community"]


@pytest.mark.parametrize("written", ["\ufeff" + BASE, BASE.replace("\n", "\r\n")])
def test_files_of_windows_are_read(written: str) -> None:
    assert check_register(written.encode()) == []


def test_another_encoding_is_told_with_its_line() -> None:
    (problem,) = check_register(BASE.encode("gb18030"))
    assert problem.line == 3
    assert "UTF-8" in problem.message(Language.ZH)
    assert "UTF-8" in problem.message(Language.EN)


def test_an_empty_file_is_told() -> None:
    assert [p.message_en for p in check_register("")] == ["there is no [[community]]; register at least one"]


def test_a_file_that_is_too_large_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_check, "MAX_REGISTER_BYTES", len(BASE))
    (problem,) = check_register(BASE)
    assert "larger than" in problem.message_en
    assert "大于" in problem.message_zh


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "{a=" * 5000, "[" * 5000])
def test_brackets_without_end_are_told_and_do_not_end_the_program(text: str) -> None:
    assert check_register(text)


@pytest.mark.parametrize(
    "text", ["household = 5", "household = [1, 2]", "[household.x]\ny = 1", "policy = []", "x.y = 1"]
)
def test_tables_of_any_shape_are_told(text: str) -> None:
    assert all(p.line == 1 for p in check_register(text))
    assert check_register(text)


def test_tables_that_are_well_but_contradict_one_another_are_told() -> None:
    problems = check_register(BASE + "[community.x]\ny = 1\n")
    assert problems


def test_a_similar_name_is_not_looked_for_in_a_whole_city() -> None:
    """Looking for one takes milliseconds each, and a wrong file has 100,000 mistakes."""
    people = "".join(f'[[person]]\nid = "p{n}"\ncommunity = "lake"\nname = "x"\n' for n in range(2_001))
    text = people + BASE.replace('["peng"]', '["pen"]')
    assert [p.message_en for p in check_register(text)] == ["there is no [[person]] with the id pen"]


def test_reading_a_file_with_errors_raises_all_problems(tmp_path: Path) -> None:
    path = tmp_path / "register.toml"
    path.write_text(BASE.replace("volume = 80", "volume = 101"), encoding="utf-8")
    with pytest.raises(RegisterFileError, match=r"register.toml:49: device.bell-duty.volume: 101") as caught:
        read_register(path)
    assert caught.value.problems == load_register_file(path)[1]
    with pytest.raises(SetupError, match="No such file"):
        read_register(tmp_path / "nothing.toml")
