"""What ``doorbell-relay provision`` says: its help, its questions, its answers, its complaints."""

from __future__ import annotations

from typing import Any

from doorbell.wire import Coverage
from relay.core.register import DeviceRole
from relay.installation import Installation, InstallStage
from relay.provisioning_settings import Hardware
from relay.texts.language import Text

# Commands
PROVISION = Text(
    "新设备：登记、签发身份、写好存储卡。不写选项则一步一步地问，能选的都不用打字。",
    "New devices: register them, issue their identities, write their cards. Without options it asks, step by step, and "
    "nothing is typed that can be picked.",
)
BATCH = Text(
    "按表格（CSV）一次准备许多设备：有一处错误就什么也不做，并一次列出全部错误。",
    "Many devices from a table (CSV): with one mistake in it nothing is done, and all of them are told at once.",
)
REPLACE = Text(
    "给已登记的设备写新卡：旧的身份被吊销，编号、结对和规则都不变。",
    "A new card for a registered device: its old identity is taken back; id, pair and policies stay as they are.",
)

# Options and arguments
ROLE = Text("设备的用途。", "What the device is for.")
HOUSEHOLD = Text(
    "住户编号；面板属于它，门铃的主人成为它的志愿者。没有登记过的要写 --label。",
    "The household's id: the panel is its own, the bell's owner becomes its volunteer. A new one needs --label.",
)
LABEL = Text("新住户的称呼，例如“柳奶奶”。", "How the elder of a new household is called.")
PLACE = Text("新住户的地址，例如“3栋502”。", "Where a new household is.")
PERSON = Text(
    "门铃主人的编号；不写则是住户唯一还没有门铃的志愿者。没有登记过的要写 --name。",
    "The id of the bell's owner; without it, the household's one volunteer who has no bell. A new one needs --name.",
)
NAME = Text("新志愿者的姓名。", "The name of a new volunteer.")
PHONE = Text("新志愿者的电话。", "The phone of a new volunteer.")
COMMUNITY = Text("小区编号；只有一个小区时不用写。", "The community's id; not needed where there is only one.")
DEVICE = Text("设备编号；不写则由住户或志愿者的编号得出。", "The device's id; without it, it follows from whose it is.")
DEVICE_ID = Text("设备编号，同登记表。", "The device's id, as in the register.")
HARDWARE = Text("哪种树莓派；不写则用设置文件的 [provision]。", "Which board; without it, the settings' [provision].")
WIFI = Text("无线网络的名称；不写则用网线。", "The name of the Wi-Fi; without it, a cable.")
WIFI_PASSWORD_FILE = Text(
    "无线网络的密码在这个文件的第一行；不写则是没有密码的网络。",
    "A file whose first line is the Wi-Fi's password; without it, the Wi-Fi has none.",
)
TO = Text(
    "卡写到哪里：挂载好的启动分区（bootfs）、要新建的文件夹，或 .tar 文件。",
    "Where the card goes: a mounted boot partition (bootfs), a folder to be made, or a .tar file.",
)
TO_FOLDER = Text(
    "卡写到这个文件夹下，每台设备一个。", "The folder under which the cards are written, one for each device."
)
TAR = Text("每张卡写成一个 .tar 文件。", "Each card is a .tar file.")
DRY_RUN = Text("只检查并说明会做什么，不作改动。", "Check and say what would be done; change nothing.")
WHY = Text("为什么要换。", "Why it is replaced.")
TABLE = Text(
    "表格，第一行是列名：role household label place person name phone community device hardware wifi wifi_password；"
    "也可用中文列名。",
    "The table; its first row names the columns: role household label place person name phone community device "
    "hardware wifi wifi_password.",
)

STATUS = Text(
    "新设备到了哪一步：卡已写好、已登记上线、自检通过、已装好（真的按过，门铃真的响过）。",
    "How far new devices are: card made, registered, tested, installed (really pressed, and a bell really rang).",
)
STATUS_EXITS = Text(
    "退出码：0 所列设备都已装好；1 还有没装好的。",
    "Exit codes: 0 all that are listed are installed; 1 some are not.",
)
LOCK_OUT = Text(
    "设备丢失或被盗：吊销它的身份，立即断开，并说明住户还有没有人听得见。",
    "A device is lost or stolen: take its identity back, end its connection, and tell who would still be heard.",
)
WATCH = Text("一直看着，Ctrl-C 结束。", "Go on watching, until Ctrl-C.")
DEVICES = Text("设备编号；不写则是全部设备。", "Ids of devices; without any, all of the register.")
WHY_OUT = Text("为什么。", "Why.")

# Mistakes in what was asked for
NO_ROLE = Text("用途 {found} 不能用；写 panel（面板）或 bell（门铃）", "no role: {found!r}; write panel or bell")
MISSING = Text("没有写", "missing")
NO_SUCH_DEVICE = Text("登记表里没有设备 {id}{hint}", "there is no device {id} in the register{hint}")
NO_SUCH_HOUSEHOLD = Text("登记表里没有住户 {id}{hint}", "there is no household {id} in the register{hint}")
NO_SUCH_COMMUNITY = Text("登记表里没有小区 {id}{hint}", "there is no community {id} in the register{hint}")
WHICH_COMMUNITY = Text(
    "登记了 {count} 个小区，要写是哪一个", "there are {count} communities in the register; write which one it is"
)
NEW_NEEDS_LABEL = Text(
    "登记表里没有住户 {id}{hint}；如果是新的，要写称呼 label",
    "there is no household {id}{hint}; if it is new, write its label",
)
NEW_NEEDS_NAME = Text(
    "登记表里没有人员 {id}{hint}；如果是新的，要写姓名 name",
    "there is no person {id}{hint}; if they are new, write their name",
)
WHICH_PERSON = Text(
    "住户 {household} 有 {count} 位志愿者还没有门铃；要写是谁的",
    "{count} volunteers of the household {household} have no bell; write whose it is",
)
OTHER_COMMUNITY = Text(
    "{id} 属于小区 {theirs}，住户属于 {ours}", "{id} belongs to the community {theirs}, the household to {ours}"
)
OTHERWISE_REGISTERED = Text(
    "写的是“{found}”，登记的是“{known}”；要改登记表，用 doorbell-relay register import",
    "it says {found!r}, and {known!r} is registered; to change the register: doorbell-relay register import",
)
DEVICE_IS_THERE = Text(
    "设备 {id} 已登记；写新卡：doorbell-relay provision replace {id}",
    "the device {id} is registered already; for a new card: doorbell-relay provision replace {id}",
)
DEVICE_HAS_IDENTITY = Text(
    "{id} 已经有身份，但不在登记表中；另取一个编号，或先 doorbell-relay authority revoke {id}",
    "{id} has an identity, and is not in the register; choose another id, or doorbell-relay authority revoke {id}",
)
NO_SUCH_HARDWARE = Text("没有 {found} 这种硬件；可用：{known}", "{found!r} is no board known here; use {known}")
NEEDS_WIFI = Text("{hardware} 没有网线插口，要写 wifi", "{hardware} has no socket for a cable; write wifi")
BAD_WIFI = Text(
    "无线网络的名称最多 {limit} 个字节，不能有控制字符", "a Wi-Fi's name has {limit} bytes at most, all visible"
)
BAD_WIFI_PASSWORD = Text(
    "无线密码要有 {low} 到 {high} 个英文字母、数字或符号", "a Wi-Fi's password has {low} to {high} ASCII characters"
)
PASSWORD_WITHOUT_WIFI = Text("写了密码，没有写无线网络的名称", "there is a password, and no name of the Wi-Fi")
UNKNOWN_COLUMN = Text("没有 {found} 这一列；可用：{known}", "there is no column {found!r}; use {known}")
COLUMN_TWICE = Text("{found} 这一列写了两次", "the column {found!r} is there twice")
NO_ROWS = Text("表格是空的", "the table is empty")
ROW_TOO_LONG = Text("这一行比列名多", "this row has more fields than there are columns")
BAD_TABLE = Text("不是 CSV 表格：{reason}", "no CSV table: {reason}")
MISTAKE = Text("{where}{key}：{what}", "{where}{key}: {what}")
MISTAKES = Text("有 {count} 处错误，什么也没有做", "{count} mistake(s); nothing was done")
LINE = Text("{path} 第 {line} 行，", "{path}:{line}: ")

# What is missing around it
NO_HOSTS = Text(
    "不知道设备怎样找到消息代理：在设置文件写 [provision] hosts，同它证书上的名字",
    "how do devices reach the broker? Write [provision] hosts into the settings, as in its certificate",
)
NO_PACKAGE = Text(
    "{path} 那里没有 .deb 软件包；在设置文件写 [provision] packages（make deb 生成）",
    "there is no .deb package at {path}; the settings' [provision] packages says where (make deb makes it)",
)
WHICH_PACKAGE = Text(
    "[provision] packages 里要有且只有一个 doorbell-device_….deb，现在有 {count} 个 {names}",
    "[provision] packages must have one doorbell-device_….deb; it has {count} {names}",
)
BAD_MORE = Text("{path} 不是 TOML：{reason}", "{path} is no TOML: {reason}")
OWN_MORE = Text(
    "{path} 里不能写 {keys}：这些由卡自己决定；只写 [pins]、[sound] 这样的表",
    "{path} must not say {keys}: a card says that itself; write tables such as [pins] or [sound]",
)
BAD_KEYS = Text("{path} 不是公钥文件：第 {line} 行", "{path} is no file of public keys: line {line}")
CANNOT_READ = Text("{path} 读不了：{reason}", "{path} cannot be read: {reason}")
CARD_IS_USED = Text(
    "{path} 上已经有一张写好的卡；要重新写，先用 Raspberry Pi Imager 重刷",
    "{path} is a card that was written already; to write it anew flash it first, with Raspberry Pi Imager",
)
PLACE_EXISTS = Text(
    "{path} 已存在，也不是空白卡的启动分区（里面没有 config.txt 和 cmdline.txt）",
    "{path} exists, and is not the boot partition of a blank card (which has config.txt and cmdline.txt)",
)
NO_FOLDER = Text("没有文件夹 {path}", "there is no folder {path}")
NOT_WRITTEN = Text("{path} 写不了：{reason}", "{path} cannot be written: {reason}")
NO_TERMINAL = Text(
    "不在终端里，没法问；写 --role 和 --household，或用 provision batch",
    "this is no terminal, nobody can be asked; write --role and --household, or use provision batch",
)
NO_TO = Text("要写 --to：卡写到哪里", "write --to: where the card goes")
LEFT_WITHOUT = Text(
    "{names} 已登记，但还没有卡；补写：doorbell-relay provision replace 编号 --to …",
    "{names}: registered, and without a card; for each: doorbell-relay provision replace ID --to …",
)
BROKER_NOT_TOLD = Text(
    "消息代理还不认识它：{reason}；然后运行 doorbell-relay broker config 和 broker reload",
    "the broker does not know it yet: {reason}; then run doorbell-relay broker config, and broker reload",
)

# Answers
WOULD = Text("会这样做（现在什么也没有改）：", "This would be done (nothing was changed):")
WRITTEN = Text("{device}：{role}，{whose}，卡在 {path}", "{device}: {role}, {whose}; its card is {path}")
NEXT = Text(
    "把卡插进设备，通电。几分钟后它自己登记、自检；再按一次求助按钮，让门铃真的响一次。",
    "Put the card in, and give it power. Within minutes it registers and tests itself; then press for help once, so "
    "that the bell really rings.",
)
TELL_BROKER = Text(
    "设置文件没有 [broker]：在消息代理那台机器上运行 doorbell-relay broker config 和 broker reload",
    "The settings have no [broker]: on the broker's machine run doorbell-relay broker config, and broker reload",
)
ROLE_PANEL = Text("面板", "panel")
ROLE_BELL = Text("门铃", "bell")
CARD_OF = Text("卡", "card")

COL_DEVICE = Text("设备", "device")
COL_WHOSE = Text("住户 / 志愿者", "household / volunteer")
COL_STAGE = Text("到了哪一步", "how far")
COL_SINCE = Text("时间", "since")
COL_NEXT = Text("下一步", "next")
STAGES: dict[InstallStage, Text] = {
    InstallStage.MADE: Text("卡已写好", "made"),
    InstallStage.REGISTERED: Text("已上线", "registered"),
    InstallStage.TESTED: Text("自检通过", "tested"),
    InstallStage.INSTALLED: Text("已装好", "installed"),
}
NO_CARD = Text("还没有卡", "no card")
NEXT_CARD = Text("doorbell-relay provision replace {device}", "doorbell-relay provision replace {device}")
NEXT_POWER = Text("插卡、通电、连网", "put the card in, power, network")
NEXT_TEST = Text(
    "等自检；没有通过的看 doorbell-device doctor", "wait for its self-test; if it fails, doorbell-device doctor"
)
NEXT_FAILED = Text(
    "修：{found}；doorbell-device doctor 说明怎样修", "repair: {found}; doorbell-device doctor tells how"
)
NEXT_PRESS_PANEL = Text("按一次求助按钮，让志愿者的门铃响", "press for help once, and let a volunteer's bell ring")
NEXT_PRESS_BELL = Text("在住户家按一次求助按钮，让它响", "press for help at a household of its own, and let it ring")
HEARD_WITH = Text("与 {other} 一起试响过", "heard with {other}")
STILL_HEARD = Text(
    "{home}：{coverage}，还能响的门铃：{bells}", "{home}: {coverage}; bells that can still ring: {bells}"
)
NO_PANEL_LEFT = Text("{home}：没有面板了，按不了求助", "{home}: no panel is left, nobody can press for help there")
NOBODY = Text("没有", "none")
COVERAGES: dict[Coverage, Text] = {
    Coverage.COVERED: Text("有人听见", "covered"),
    Coverage.THIN: Text("只有一处", "thin"),
    Coverage.UNCOVERED: Text("没人听见", "uncovered"),
}

# Questions
PICK = Text("选一个（0 = 上一步，q = 不做了）", "Pick one (0 = back, q = leave)")
PICK_AGAIN = Text("没有 {found}，请写 0 到 {last}，或 q", "{found!r} is none of them; write 0 to {last}, or q")
ASK_ROLE = Text("哪种设备？", "Which device?")
ASK_COMMUNITY = Text("哪个小区？", "Which community?")
ASK_HOUSEHOLD = Text("哪家住户？", "Which household?")
ASK_PERSON = Text("谁的门铃？", "Whose bell is it?")
ASK_HARDWARE = Text("哪种树莓派？", "Which board?")
ASK_WIFI = Text("怎样上网？", "How is it connected?")
ASK_SURE = Text("对吗？", "Is that right?")
NEW_HOUSEHOLD = Text("新住户 …", "a new household …")
NEW_PERSON = Text("新志愿者 …", "a new volunteer …")
BY_CABLE = Text("网线", "by cable")
BY_WIFI = Text("无线网络 …", "by Wi-Fi …")
YES_DO_IT = Text("对，写卡", "yes, write the card")
TYPE_ID = Text("编号（小写字母、数字和 -；空 = 上一步）", "Id (lower-case letters, digits, '-'; empty = back)")
TYPE_LABEL = Text("称呼，例如 柳奶奶（空 = 上一步）", "How they are called (empty = back)")
TYPE_PLACE = Text("地址，例如 3栋502（可空）", "Where it is (may be empty)")
TYPE_NAME = Text("姓名（空 = 上一步）", "Name (empty = back)")
TYPE_PHONE = Text("电话（可空）", "Phone (may be empty)")
TYPE_WIFI = Text("无线网络的名称（空 = 上一步）", "The Wi-Fi's name (empty = back)")
TYPE_WIFI_PASSWORD = Text("密码（不显示；没有则空）", "Its password (not shown; empty if it has none)")
LEFT = Text("什么也没有做", "Nothing was done")
HARDWARE_WORDS: dict[Hardware, Text] = {
    Hardware.PI_3: Text("树莓派 3", "Raspberry Pi 3"),
    Hardware.PI_4: Text("树莓派 4", "Raspberry Pi 4"),
    Hardware.PI_5: Text("树莓派 5", "Raspberry Pi 5"),
    Hardware.PI_ZERO_2_W: Text("树莓派 Zero 2 W（只有无线）", "Raspberry Pi Zero 2 W (Wi-Fi only)"),
}


def stage_word(one: Installation, has_card: bool) -> Text:
    """How far it is. ``has_card``: whether it has an identity with which it may come in."""
    return STAGES[one.stage] if has_card else NO_CARD


def next_step(one: Installation, role: DeviceRole, has_card: bool) -> tuple[Text, dict[str, Any]]:
    """What is next, with what to fill in; of one that is installed, with which other device it was heard."""
    if not has_card:
        return NEXT_CARD, {"device": one.device}
    if one.not_proven:
        return NEXT_FAILED, {"found": ", ".join(one.not_proven)}
    match one.stage:
        case InstallStage.MADE:
            return NEXT_POWER, {}
        case InstallStage.REGISTERED:
            return NEXT_TEST, {}
        case InstallStage.TESTED:
            return NEXT_PRESS_PANEL if role is DeviceRole.PANEL else NEXT_PRESS_BELL, {}
        case InstallStage.INSTALLED:
            return HEARD_WITH, {"other": one.heard_with}
