"""What can be wrong with a register file. Each says what is wrong and, where it is not plain, what to write instead."""

from __future__ import annotations

from relay.texts.language import Text

# The file as a whole
TOO_LARGE = Text("文件大于 {limit_mb} MB，这不像是登记表", "larger than {limit_mb} MB: this is hardly a register")
NOT_UTF8 = Text("不是 UTF-8 编码；请另存为 UTF-8（记事本：另存为 → 编码 → UTF-8）", "not UTF-8; save the file as UTF-8")
TOO_DEEP = Text("括号嵌套太深", "nested too deeply")
EMPTY = Text("没有任何 [[community]]；至少要登记一个小区", "there is no [[community]]; register at least one")

# TOML's own grammar; what tomllib says is in English only
SYNTAX = Text("TOML 语法错误（{detail}）", "TOML syntax: {detail}")
FULL_WIDTH = Text(
    "TOML 语法错误：引号、逗号、等号、括号要用英文半角，这里有 {found}",
    "TOML syntax: quotes, commas, equals signs and brackets must be ASCII; here is {found}",
)
UNCLOSED_STRING = Text("文字的引号没有成对", "a text without its closing quote")
UNCLOSED_ARRAY = Text("方括号没有成对，或两项之间少了逗号", "'[' without its ']', or a comma missing between items")
UNCLOSED_TABLE = Text("花括号没有成对，或两项之间少了逗号", "'{{' without its '}}', or a comma missing between items")
KEY_TWICE = Text("同一个键写了两次", "the same key is written twice")
NO_EQUALS = Text("键后面少了等号；要写成 键 = 值", "no '=' after the key; write key = value")
BAD_VALUE = Text("值写得不对；文字要放在英文引号里", "not a value; a text needs quotes around it")
EXTRA_AFTER_VALUE = Text("值后面有多余的内容；一行只写一项", "something follows the value; write one item on a line")
BAD_HEADER = Text("表头写得不对；要写成 [[名称]]", "a broken table header; write [[name]]")

# Tables and keys
UNKNOWN_TABLE = Text("没有这种表；可用：{known}{hint}", "there is no such table; use {known}{hint}")
SINGLE_BRACKETS = Text("要写成 [[{table}]]（两层方括号）", "write [[{table}]] (two brackets)")
UNKNOWN_KEY = Text("没有这个键；可用：{known}{hint}", "unknown key; use {known}{hint}")
MISSING = Text("缺少 {missing}", "{missing} is missing")
HINT = Text("；是不是 {close}？", "; did you mean {close}?")

# Types
NOT_TEXT = Text("要写成引号里的文字，现在是 {found}", "must be a text in quotes, not {found}")
NOT_LIST = Text('要写成列表，例如 ["a", "b"]，现在是 {found}', 'must be a list such as ["a", "b"], not {found}')
NOT_NUMBER = Text("要写成整数，现在是 {found}", "must be a whole number, not {found}")
NOT_TABLE = Text("要写成 {{ 键 = 值 }}，现在是 {found}", "must be a table {{ key = value }}, not {found}")

# Values
BAD_ID = Text(
    "编号 {found} 不能用：只能有小写英文字母、数字和 -，以字母或数字开头，最多 63 个字符",
    "{found} is no id: use lower-case letters, digits and '-', a letter or digit first, at most 63",
)
RESERVED_ID = Text("以 relay- 开头的设备编号留给中继自己用", "device ids that begin with relay- are the relay's own")
EMPTY_TEXT = Text("不能为空", "must not be empty")
TOO_LONG = Text("太长：{length} 个字，最多 {limit} 个", "too long: {length} characters, at most {limit}")
CONTROL = Text("含有看不见的控制字符（{found}），请删去", "has an invisible control character ({found}); remove it")
OUT_OF_RANGE = Text("{found} 超出范围，应在 {low} 到 {high} 之间", "{found} is out of range, use {low} to {high}")
NOT_ONE_OF = Text("{found} 不能用；可用：{known}{hint}", "{found} is unknown here; use {known}{hint}")
BAD_URL = Text("要写成 http:// 或 https:// 开头的网址", "must be an address that begins with http:// or https://")
NOT_ABSOLUTE = Text(
    "要写完整路径，以 / 开头：中继不知道相对于哪里",
    "write the whole path, from '/': the relay cannot know from where else",
)
BAD_TARGET = Text(
    "不能呼叫 {found}；可写 volunteer:1、volunteers、group:名称、office、everyone、hook:名称",
    "cannot call {found}; use volunteer:1, volunteers, group:NAME, office, everyone or hook:NAME",
)
NO_STEPS = Text("至少要有一步", "needs at least one step")
TOO_MANY_STEPS = Text("有 {count} 步，最多 {limit} 步", "has {count} steps, at most {limit}")
NOBODY_CALLED = Text("这一步没有呼叫任何人", "this step calls nobody")

# How the rows belong together
DUPLICATE_ID = Text(
    "编号 {id} 重复：第 {other_line} 行已经用过", "the id {id} is used twice: line {other_line} has it already"
)
DEVICE_TWICE = Text(
    "设备 {id} 已在第 {other_line} 行属于 {owner}", "the device {id} belongs to {owner} already, on line {other_line}"
)
NAMED_TWICE = Text("{id} 在这里写了两次", "{id} is named twice here")
NO_SUCH = Text("没有编号为 {id} 的 [[{table}]]{hint}", "there is no [[{table}]] with the id {id}{hint}")
NO_SUCH_GROUP = Text("没有编号或种类为 {id} 的 [[group]]{hint}", "there is no [[group]] with the id or kind {id}{hint}")
NO_SUCH_DEVICE = Text(
    "没有住户的 panels 或人员的 bells 提到设备 {id}{hint}",
    "no household's panels and no person's bells name the device {id}{hint}",
)
OTHER_COMMUNITY = Text(
    "{id} 属于小区 {theirs}，不属于 {ours}；要同属一个小区",
    "{id} is of the community {theirs}, not {ours}; both must be of one",
)
TOO_MANY_BELLS = Text(
    "志愿者共有 {count} 个门铃，面板最多与 {limit} 个直接相连",
    "its volunteers have {count} bells; a panel can be paired with {limit} at most",
)
TOO_MANY_PANELS = Text(
    "门铃 {bell} 要照看 {count} 个面板，最多 {limit} 个；请把住户分给更多志愿者",
    "the bell {bell} would be paired with {count} panels, at most {limit}; share the households among more volunteers",
)

# Warnings
NO_VOLUNTEERS = Text("没有志愿者：按铃后直接呼叫后面的步骤", "has no volunteers: a press calls the later steps at once")
NO_PANEL = Text("没有面板：无处按铃", "has no panel: nobody can press")
NO_BELL = Text("{id} 是志愿者，却没有门铃：听不见呼叫", "{id} is a volunteer without a bell: cannot be heard")
NO_OFFICE = Text(
    '小区 {id} 没有 kind = "office" 的小组：志愿者都不应时无人兜底',
    'the community {id} has no group with kind = "office": nobody stands behind the volunteers',
)
GROUP_CALLS_NOBODY = Text("没有带门铃的成员，也没有 hooks：呼叫它没有人知道", "no member with a bell, and no hooks")

WRONG_TYPE_WORDS = {
    str: Text("文字", "a text"),
    bool: Text("真假值", "true or false"),
    int: Text("整数", "a number"),
    float: Text("小数", "a number with a fraction"),
    list: Text("列表", "a list"),
    dict: Text("表", "a table"),
}
OTHER_TYPE = Text("日期或时间", "a date or time")
