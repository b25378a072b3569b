"""What ``doorbell-relay`` says: its help, its answers, its complaints."""

from __future__ import annotations

from relay.texts.language import Text

# Frame of the help
ARGUMENTS = Text("参数", "Arguments")
OPTIONS = Text("选项", "Options")
COMMANDS = Text("命令", "Commands")
SHOW_HELP = Text("显示本说明。", "Show this message and exit.")
INSTALL_COMPLETION = Text("为当前 shell 安装命令补全。", "Install completion for the current shell.")
SHOW_COMPLETION = Text(
    "显示当前 shell 的补全脚本，可复制或改动。",
    "Show completion for the current shell, to copy it or customize the installation.",
)

# Groups and commands
PROGRAM = Text(
    "爱心门铃的中继：记住谁帮助谁，听见按铃，按规则呼叫，每一步都有记录。",
    "The relay of the Love Doorbell: knows who helps whom, hears a press, calls by the policy, records every step.",
)
RUN = Text("运行中继，直到收到停止信号。", "Run the relay until it is told to stop.")
VERSION = Text("显示版本。", "Show the version and exit.")
RUN_CHECK = Text(
    "只读设置和设置里写的证书、密码、密钥文件，看能不能启动；不连接，不改动。",
    "Only read the settings and the certificates, passwords and keys that they name, and say whether it could start.",
)
COULD_RUN = Text("{path} 没有问题，中继可以启动", "{path} is well: the relay could start")
RUN_EXITS = Text(
    "退出码：0 按要求停止；2 设置有误，需要人来改；69 数据库不能用；70 程序自身出错，应重新启动。",
    "Exit codes: 0 stopped as asked; 2 a setting is wrong, a person must repair it; 69 the database is out of reach; "
    "70 a bug of ours, start it again.",
)
REGISTER = Text("登记表：检查、导入、导出。", "The register: check, import, export.")
REGISTER_CHECK = Text(
    "检查登记表文件，一次指出所有错误及其行号。", "Check a register file: every mistake at once, each with its line."
)
REGISTER_IMPORT = Text(
    "用文件替换登记表；先显示会有哪些变化，有错误则什么也不改。原来的登记表会保存在数据库旁边。",
    "Replace the register by a file; shows what changes, and changes nothing if there are errors. The register of "
    "before is kept beside the database.",
)
REGISTER_EXPORT = Text(
    "把登记表写成文件，可以编辑后再导入。", "Write the register to a file that can be edited and imported."
)
ALARMS = Text("警报：列表、实时观看、经过、结束。", "Alarms: list, watch live, show one, close one.")
ALARMS_LIST = Text("列出未结束的警报。", "List the open alarms.")
ALARMS_WATCH = Text(
    "实时观看警报，按 Ctrl-C 结束；不在终端里时逐行输出。",
    "Watch alarms live until Ctrl-C; prints lines where there is no terminal.",
)
ALARMS_SHOW = Text("显示一个警报的全部经过。", "Show one alarm and all that happened to it.")
ALARMS_CLOSE = Text("结束一个警报，写明结果。", "Close an alarm, with its outcome.")
JOURNAL = Text(
    "导出日志：CSV 给人看（可用 Excel 打开），JSON 行给程序看。",
    "Export the journal: as CSV for people (Excel opens it), as JSON lines for programs.",
)
REJECTED = Text("不能使用的消息，供技术员查看。", "Messages that could not be used, kept for a technician.")
REJECTED_LIST = Text(
    "列出最近收到的不能使用的消息及原因。", "List the newest messages that could not be used, and why."
)
WEB = Text(
    "运行网页：登录、账号、住户、设备、操作记录；是单独的进程，出了问题也不影响响铃。",
    "Run the pages: sign-in, accounts, households, devices, audit log. A process of its own: whatever befalls it, "
    "bells ring.",
)
EXAMPLES = Text("例如", "Examples")

# Options and arguments
LANGUAGE = Text(
    "说明和输出用的语言；不写则看终端的 LANG，再看设置文件。",
    "Language of help and output; without it the terminal's LANG decides, then the settings file.",
)
CONFIG = Text("中继的设置文件。", "The relay's settings file.")
FILE = Text("登记表文件（TOML）。", "The register file (TOML).")
EXPORT_FILE = Text("要写的文件；- 表示输出到终端。", "The file to write; - writes to the terminal.")
FORCE = Text("文件已存在也覆盖。", "Overwrite the file if it exists.")
DRY_RUN = Text("只显示会有哪些变化，不作改动。", "Only show what would change.")
ALARM_ID = Text("警报编号，写开头几位即可。", "The alarm's id; its first characters suffice.")
ALL = Text("包括已结束的。", "Closed ones too.")
LIMIT = Text("最多多少条。", "At most so many.")
JSON = Text("输出 JSON，供程序使用。", "Print JSON, for programs.")
OUTCOME = Text("结果。", "The outcome.")
NOTE = Text("备注，最多 500 字。", "A note, at most 500 characters.")
YES = Text("不再询问。", "Do not ask.")
WAIT_S = Text("等中继执行，最多多少秒。", "Wait for the relay to do it, at most so many seconds.")
FORMAT = Text("格式。", "The format.")
SINCE = Text(
    "从这时起（含），例如 2026-11-23 或 2026-11-23T14:00；本地时间。",
    "From then on, e.g. 2026-11-23 or 2026-11-23T14:00, local time.",
)
UNTIL = Text("到这时为止（不含）。", "Until then, not included.")
ONE_ALARM = Text("只要这个警报的。", "Of this alarm only.")
ONE_COMMUNITY = Text("只要这个小区的。", "Of this community only.")
OUTPUT = Text("写到文件；不写则输出到终端。", "Write to a file instead of the terminal.")

# Complaints
ERROR = Text("错误", "error")
WARNING = Text("警告", "warning")
INTERRUPTED = Text("已中断", "interrupted")
NO_DATABASE = Text(
    "没有数据库 {path}；先导入登记表：doorbell-relay register import 文件 --config {config}",
    "there is no database {path}; import a register first: doorbell-relay register import FILE --config {config}",
)
STORE_FAILED = Text("数据库不能用：{reason}", "the database cannot be used: {reason}")
STORE_BUSY = Text("数据库暂时不能用：{reason}；请再试一次", "the database cannot be used now: {reason}; try again")
FILE_EXISTS = Text("{path} 已存在；换个名字，或加 --force", "{path} exists; use another name, or add --force")
CANNOT_WRITE = Text("不能写入 {path}：{reason}", "cannot write {path}: {reason}")
NO_ALARM = Text(
    "没有编号以 {id} 开头的警报；doorbell-relay alarms list --all 列出全部",
    "no alarm begins with {id}; see doorbell-relay alarms list --all",
)
MANY_ALARMS = Text(
    "有 {count} 个警报以 {id} 开头，请多写几位：{ids}", "{count} alarms begin with {id}, write more of it: {ids}"
)
BAD_TIME = Text(
    "看不懂时间 {text}；写成 2026-11-23 或 2026-11-23T14:00", "{text} is no time; write 2026-11-23 or 2026-11-23T14:00"
)
BAD_NOTE = Text("备注最多 500 字，不能有换行等控制字符", "a note has at most 500 characters and no line breaks")

# Register
PROBLEM_COUNT = Text("{errors} 个错误，{warnings} 个警告", "{errors} error(s), {warnings} warning(s)")
MORE_PROBLEMS = Text("……还有 {count} 个，改好以上各处后再检查", "... and {count} more: repair these, then check again")
REGISTER_WELL = Text("登记表没有错误：{counts}", "the register has no errors: {counts}")
NOTHING_IMPORTED = Text("有错误，什么也没有改", "there are errors: nothing was changed")
NO_CHANGES = Text("与现在的登记表完全一样，不用导入", "the same as the present register: nothing to import")
CHANGES = Text("变化", "changes")
WHAT = Text("种类", "what")
ADDED = Text("新增", "added")
CHANGED = Text("改动", "changed")
REMOVED = Text("删除", "removed")
WHICH = Text("哪些", "which")
OPEN_ALARM_REMOVED = Text(
    "住户 {household} 将被删除，但还有未结束的警报 {alarm}（{stage}）",
    "the household {household} will be removed while its alarm {alarm} is open ({stage})",
)
OPEN_ALARM_MOVED = Text(
    "住户 {household} 要换到社区 {community}，但还有未结束的警报 {alarm}（{stage}）：先结束它，再导入",
    "the household {household} would move to the community {community} while its alarm {alarm} is open ({stage}): "
    "close it first, then import",
)
DRY_RUN_DONE = Text("只是试看，没有改动", "a dry run: nothing was changed")
IMPORTED = Text(
    "已导入，登记表现在是第 {version} 版；运行中的中继会立即采用",
    "imported: the register is version {version} now; a running relay takes it over at once",
)
GO_BACK = Text("要退回原来的登记表：{command}", "to go back to the register of before: {command}")
EXPORTED = Text("已写入 {path}：{counts}", "written to {path}: {counts}")
CHECKING = Text("检查登记表……", "checking the register ...")
IMPORTING = Text("写入数据库……", "writing the database ...")
COMMUNITIES = Text("小区", "communities")
HOUSEHOLDS = Text("住户", "households")
PEOPLE = Text("人员", "people")
DEVICES = Text("设备", "devices")
GROUPS = Text("小组", "groups")
HOOKS = Text("网络通知", "hooks")
POLICIES = Text("呼叫规则", "policies")

# Alarms
NO_OPEN_ALARMS = Text("没有未结束的警报", "no open alarms")
NO_ALARMS = Text("还没有警报", "no alarms yet")
OPEN_ALARMS = Text("未结束的警报", "open alarms")
LATEST = Text("最近", "latest")
COL_ALARM = Text("警报", "alarm")
COL_KIND = Text("种类", "kind")
COL_STAGE = Text("阶段", "stage")
COL_HOUSEHOLD = Text("住户", "household")
COL_PLACE = Text("地址", "place")
COL_RAISED = Text("按铃时间", "raised")
COL_AGE = Text("已过", "age")
COL_WHO = Text("谁在帮忙", "helper")
COL_STEP = Text("步骤", "step")
COL_PRESSES = Text("按铃次数", "presses")
COL_NEXT = Text("下一期限", "next at")
COL_OUTCOME = Text("结果", "outcome")
COL_NOTE = Text("备注", "note")
COL_TIME = Text("时间", "time")
COL_AFTER = Text("按铃后", "after")
COL_WHAT = Text("经过", "what happened")
NOBODY_HAS_COME = Text("无人到场", "nobody has come")
CLOSE_ASK = Text(
    "结束 {household}（{place}）的警报 {id}，阶段：{stage}，结果：{outcome}？之后不再呼叫任何人",
    "close the alarm {id} of {household} ({place}), stage: {stage}, outcome: {outcome}? Nobody will be called any more",
)
CLOSE_ABANDONED = Text("没有结束警报", "the alarm was not closed")
CLOSED_NOW = Text("警报 {id} 已结束：{outcome}", "alarm {id} is closed: {outcome}")
CLOSE_PENDING = Text(
    "已交给中继，但它还没有执行；中继运行后立即执行。请查看：doorbell-relay alarms show {id}",
    "handed to the relay, which has not done it yet; it will as soon as it runs. See: doorbell-relay alarms show {id}",
)
CLOSE_REFUSED = Text("没有结束警报 {id}：{reason}", "the alarm {id} was not closed: {reason}")
ALREADY_CLOSED = Text("警报 {id} 已经结束", "the alarm {id} is closed already")

# Journal, rejected
COL_SEQ = Text("序号", "no")
COL_COMMUNITY = Text("小区", "community")
COL_TYPE = Text("类型", "type")
COL_WORD = Text("类型说明", "type in words")
COL_DEVICE = Text("设备", "device")
COL_EVENT = Text("事件", "event")
COL_DATA = Text("数据", "data")
COL_TOPIC = Text("主题", "topic")
COL_REASON = Text("原因", "reason")
COL_DETAIL = Text("说明", "detail")
COL_PAYLOAD = Text("内容", "payload")
NO_REJECTED = Text("没有不能使用的消息", "no message was rejected")
LINES_WRITTEN = Text("已写入 {path}：{count} 行", "{count} lines written to {path}")

# Store
STORE = Text("数据库：核对、备份、恢复、清理过期记录。", "The database: verify, back up, restore, forget what is old.")
STORE_VERIFY = Text(
    "核对数据库：文件是否完好，每个警报是否与日志一致；中继运行时也可以用。",
    "Check the database: whether it is whole, and every alarm as the journal tells it. A relay may be running.",
)
STORE_VERIFY_EXITS = Text(
    "退出码：0 没有问题；1 有问题，已逐条列出；69 数据库不能用。",
    "Exit codes: 0 all is well; 1 something is wrong, and was listed; 69 the database is out of reach.",
)
STORE_BACKUP = Text(
    "把整个数据库备份成一个文件，并核对备份；中继运行时也可以用。",
    "Back the whole database up to one file, and check it. A relay may be running.",
)
STORE_RESTORE = Text(
    "用备份替换数据库，未结束的警报继续进行；先停止所有中继。原来的数据会保存成文件。",
    "Put a back-up in the place of the database; open alarms continue. Stop every relay first. What was there before "
    "is kept in a file.",
)
STORE_RETAIN = Text(
    "删除超过保存期限的记录（设置文件的 [retention]）；中继运行时也可以用。",
    "Delete what is older than the settings' [retention] wants. A relay may be running.",
)
BACKUP_FILE = Text("要写的文件；或文件夹，文件名自动取。", "The file to write, or a folder for one named by the time.")
KEEP = Text(
    "写进文件夹后，只留下最新的几个备份；这次的有问题时，一个也不删。",
    "In a folder: keep only the newest so many of its back-ups; none is deleted if something is wrong with this one.",
)
RESTORE_FILE = Text("备份文件。", "The back-up.")
RESTORE_FORCE = Text("备份有问题也照样恢复。", "Restore even a back-up with something wrong in it.")
COMPARING = Text("已核对 {count} 个警报……", "{count} alarms compared ...")
COPYING = Text("复制并核对……", "copying and checking ...")
FORGETTING = Text("已删除 {count} 行……", "{count} rows deleted ...")
SOUND = Text(
    "没有问题：{alarms} 个警报（{open} 个未结束）与日志的 {lines} 行状态一致",
    "all is well: {alarms} alarms ({open} open) are as {lines} lines of the journal tell them",
)
UNSOUND = Text(
    "发现 {count} 处问题（已核对 {alarms} 个警报）；怎么办见 docs/store.md",
    "{count} thing(s) wrong ({alarms} alarms compared); docs/store.md says what to do",
)
MORE_FINDINGS = Text("……还有 {count} 处", "... and {count} more")
BACKED_UP = Text(
    "已备份到 {path}（{size} MB，{alarms} 个警报，{open} 个未结束），内有姓名和地址，请妥善保管",
    "backed up to {path} ({size} MB, {alarms} alarms, {open} open): there are names and addresses in it, keep it safe",
)
NO_FILE = Text("没有文件 {path}", "there is no file {path}")
RESTORE_ASK = Text(
    "用 {path} 替换数据库 {database}？备份之后发生的事将不在其中",
    "put {path} in the place of the database {database}? What happened after the back-up will not be in it",
)
NOT_RESTORED = Text("没有恢复，什么也没有改", "not restored: nothing was changed")
KEEP_IN_FOLDER = Text("--keep 用于文件夹，{path} 不是", "--keep is for a folder, which {path} is not")
OLDER_STAY = Text("以前的备份一个也没有删", "none of the older back-ups was deleted")
OLDER_GONE = Text("已删去 {count} 个较旧的备份", "{count} older back-up(s) deleted")
NOT_DELETED = Text("不能删除旧备份 {path}：{reason}", "cannot delete the old back-up {path}: {reason}")
BACKUP_UNSOUND = Text(
    "备份 {path} 有问题，没有恢复；换一个备份，或加 --force",
    "something is wrong with the back-up {path}: not restored. Take another one, or add --force",
)
RESTORED = Text(
    "已从 {path} 恢复：{alarms} 个警报，{open} 个未结束，启动中继后继续进行",
    "restored from {path}: {alarms} alarms, {open} of them open, which continue when the relay starts",
)
KEPT_BEFORE = Text("原来的数据保存在 {path}", "what was there before is kept in {path}")
COL_PERIOD = Text("保存期限", "kept for")
COL_BEFORE = Text("早于", "older than")
COL_OLD = Text("将删除", "to delete")
COL_STAYING = Text("保留", "staying")
DAYS = Text("{days} 天", "{days} days")
FORGOTTEN = Text(
    "已删除过期记录；空出的地方由数据库自己再用，文件不会变小",
    "deleted: the database uses the room again by itself, its file does not shrink",
)
