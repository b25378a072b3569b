"""What ``doorbell-relay privacy`` says: its help, its answers, its complaints."""

from __future__ import annotations

from collections.abc import Mapping

from relay.texts.language import Text

# Commands
PRIVACY = Text(
    "个人信息：一个人的导出和删除，隐私密钥。",
    "Personal information: export and erasure of one person, the privacy key.",
)
EXPORT = Text(
    "显示保存的关于一个人或一户的全部内容；他人只以编号出现。",
    "Show everything that is kept of one person or household; other people appear by their ids alone.",
)
ERASE = Text(
    "删除关于一个人或一户的全部内容：姓名、电话、住址、备注、消息。日志只有编号，保持完整。",
    "Erase everything that tells of one person or household: name, telephone number, address, notes, messages. The "
    "journal has ids only, and stays whole.",
)
ERASE_EXITS = Text(
    "退出码：0 已删除；1 没有删除，或还有痕迹；2 编号不存在，或有未结束的警报。",
    "Exit codes: 0 erased; 1 not erased, or traces are left; 2 no such id, or an alarm is open.",
)
KEY = Text("隐私密钥：建立、查看、更换。", "The privacy key: make, show, replace.")
KEY_CREATE = Text(
    "建立隐私密钥（中继第一次启动时也会自动建立）。",
    "Make the privacy key (a relay that starts for the first time does so too).",
)
KEY_SHOW = Text(
    "显示有哪些密钥、数据库用哪一个；不显示密钥本身。", "Show which keys there are and which is used; not the keys."
)
KEY_ROTATE = Text(
    "换一个新密钥，用它重新加密全部内容。请先停止所有中继。",
    "Take a new key, and seal everything with it. Stop every relay first.",
)

# Options and arguments
ID = Text("人员或住户的编号。", "The id of a person or household.")
CONFIRM = Text("不再提问：再写一次编号。", "Do not ask: the id once more.")
WAIT_S = Text(
    "最多等多少秒，让正在运行的中继告诉各设备。",
    "For how many seconds to wait until a relay that runs has told the devices.",
)
DESTROY = Text(
    "销毁旧密钥：以前的备份从此无法读出。", "Destroy the old keys: no back-up of before can ever be read again."
)

# Answers
NO_SUBJECT = Text("登记表里没有编号为 {id} 的人员或住户", "the register has no person and no household {id}")
CHANGED_MEANWHILE = Text("登记表刚刚被别人改过，请再试一次", "somebody has just changed the register: try again")
OPEN_MATTERS = Text(
    "有未结束的警报与 {id} 有关，先处理完再删除：{alarms}",
    "alarms that concern {id} are open, or somebody is still to be told of them: bring them to an end first: {alarms}",
)
WILL_ERASE = Text("将删除（{id}）：{words}", "will erase ({id}): {words}")
AND_DEVICES = Text("同时注销的设备：{devices}", "devices that will be registered no more: {devices}")
AND_TRACES = Text(
    "另有：备注 {notes}、通知 {notices}、无法使用的消息 {rejected}、设备上显示的内容 {twins}、事件 {events}",
    "also: notes {notes}, notices {notices}, rejected messages {rejected}, states of devices {twins}, events {events}",
)
AND_ACCOUNTS = Text("账号：{logins}", "accounts: {logins}")
AND_COPIES = Text("登记表的旧副本：{files}", "kept copies of the register: {files}")
LEFT_ALONE = Text("以后没有志愿者的住户：{homes}", "households that will have no volunteer: {homes}")
STAYS = Text(
    "保留：日志、警报和事件里的编号（没有登记表就查不出是谁），操作记录，以及以前的备份（按保存期限删除；在本机恢复时会再次删除）。",
    "What stays: ids in the journal, alarms and events (without the register they tell of nobody), the audit log, and "
    "back-ups of before (until they are deleted; one that is restored here is erased from again).",
)
COPY_UNREADABLE = Text("{path} 用 {key_file} 里的密钥打不开", "{path} cannot be opened with the keys in {key_file}")
KEPT_REGISTERS = Text("登记表的旧副本", "kept copies of the register")
ERASED_AGAIN = Text("备份里有已删除的人或户，已再次删除：{ids}", "in the back-up, erased since, erased again: {ids}")
NOT_ERASED_AGAIN = Text(
    "备份里有已删除的 {id}，但有未结束的警报，请之后再删：doorbell-relay privacy erase {id}",
    "the back-up has {id}, who was erased since, and an alarm is open: doorbell-relay privacy erase {id} afterwards",
)
TYPE_ID = Text("确认删除，请输入编号 {id}", "To erase, type the id {id}")
NOT_ERASED = Text("没有删除。", "Nothing was erased.")
DRY_RUN = Text("这是演习：什么也没有改。", "A dry run: nothing was changed.")
ERASED = Text("已删除。登记表第 {version} 版。", "Erased. The register's version is {version}.")
NOT_TOLD_YET = Text(
    "还有 {twins} 台设备显示着旧内容：没有中继在运行，启动后会告诉它们。",
    "{twins} devices still show what they were told before: no relay runs; it tells them when it starts.",
)
WAITING = Text("等待中继告诉各设备……", "Waiting until the relay has told the devices …")
TRACES_LEFT = Text("还有痕迹：{found}", "traces are left: {found}")
KEY_MADE = Text("隐私密钥 {id} 在 {path}。", "The privacy key {id} is in {path}.")
KEY_THERE = Text("{path} 已有密钥 {id}，没有改动。", "{path} has the key {id} already; nothing was changed.")
PUT_AWAY = Text(
    "请把这个文件抄一份放到别处（打印锁好，或存到不放备份的 U 盘）：没有它，数据库和备份里的姓名住址谁也读不出。",
    "Put a copy of this file away, on paper or on a stick that holds no back-up: without it nobody can ever read the "
    "names, telephone numbers and addresses in the database and its back-ups.",
)
KEY_LINE = Text("密钥 {id}，{made} 建立", "key {id}, made on {made}")
KEY_LINE_USED = Text("密钥 {id}，{made} 建立，数据库正在用", "key {id}, made on {made}, in use by the database")
NO_KEY = Text(
    "{path} 不存在：doorbell-relay privacy key create", "{path} is not there: doorbell-relay privacy key create"
)
ROTATED = Text("已用新密钥 {key} 重新加密 {values} 项。", "{values} values are sealed with the new key {key}.")
OLD_KEPT = Text(
    "旧密钥还在文件里，以前的备份仍可恢复：{keys}", "The old keys are still in the file, for back-ups of before: {keys}"
)
OLD_DESTROYED = Text(
    "旧密钥已销毁：以前的备份、数据库文件的残留和服务器日志里的姓名住址都无法再读出。请把新文件抄一份，并销毁旧抄件。",
    "The old keys are destroyed: no name or address in back-ups of before, in remains of files or in a server's log "
    "can be read any more. Put a copy of the new file away, and destroy the old copies.",
)
NOT_ALL = Text(
    "{left} 项打不开，保持原样，旧密钥保留。", "{left} values could not be opened and stay; so do the old keys."
)

TITLES: Mapping[str, Text] = {
    "subject": Text("登记", "In the register"),
    "devices": Text("设备", "Devices"),
    "households": Text("帮助的住户", "Households that they help"),
    "volunteers": Text("志愿者", "Volunteers"),
    "groups": Text("所在小组", "Groups"),
    "alarms": Text("有关的警报", "Alarms that concern them"),
    "journal": Text("日志", "Lines of the journal"),
    "events": Text("设备发来的事件", "Events as their devices sent them"),
    "notes": Text("结束警报时的备注", "Notes at the closing of alarms"),
    "notices": Text("发给网络通知的内容", "What webhooks were told"),
    "rejected": Text("不能使用的消息", "Rejected messages"),
    "shown_at": Text("显示其称呼或住址的设备", "Devices that show their name or address"),
    "accounts": Text("账号和登录", "Accounts and sign-ins"),
    "accesses": Text("谁看过、改过", "Who has looked at this or changed it"),
}
"""The parts of an export."""
