"""What ``doorbell-relay account`` says, the words for roles and rights, and what is said about passwords."""

from __future__ import annotations

from collections.abc import Mapping

from relay.people import LinkPurpose, Reach, Right, Role
from relay.texts.language import Text

# Commands
ACCOUNT = Text(
    "账号：谁可以登录网页，能看什么、做什么。", "Accounts: who may sign in to the pages, and see and do what."
)
ADD = Text(
    "新建账号；密码另行设置，或发个人链接让本人设置。", "Add an account; set a password, or send a link to set one."
)
LIST = Text("列出账号及其角色。", "List the accounts with their roles.")
ROLE = Text("授予或收回角色。", "Give roles, or take them back.")
LOCK = Text(
    "停用账号：立即退出登录，链接作废；可以恢复。", "Lock an account: signed out at once, links void; can be undone."
)
UNLOCK = Text("恢复停用的账号。", "Unlock an account.")
PASSWORD = Text(
    "设置密码：在终端里输入两次，或从标准输入读一行；其他登录随即结束。",
    "Set a password: typed twice, or one line of standard input. Ends its sessions.",
)
LINK = Text("生成个人链接，只能用一次，过期作废。", "Make a personal link: good once, and for a limited time.")
SESSIONS = Text("列出一个账号的登录。", "List where an account is signed in.")
END = Text("结束一个账号的登录。", "Sign an account out.")
ERASE = Text(
    "删除账号的个人资料（姓名、登录名、密码、角色、登录），不可恢复；操作记录里只留编号。",
    "Erase an account's personal data (name, login, password, roles, sessions) for good; the audit log keeps its id.",
)

# Options and arguments
WHICH = Text("登录名或账号编号。", "The login, or the account's id.")
LOGIN = Text("登录名：2 到 32 个字母、数字、. _ - @。", "What it signs in with: 2 to 32 letters, digits, . _ - @.")
NAME = Text("姓名。", "The name.")
PERSON = Text(
    "登记表里的人员编号：志愿者和联盟成员要写。",
    "The person of the register: for volunteers and members of the alliance.",
)
ROLES = Text(
    "角色:小区，例如 office:xihushan；小区写 * 表示全部。可写多次。",
    "ROLE:COMMUNITY, e.g. office:xihushan; * for all. May be repeated.",
)
TAKE = Text("收回这个角色:小区。可写多次。", "Take this ROLE:COMMUNITY back. May be repeated.")
SUBJECT = Text(
    "在 OpenID 服务处是谁：签发者和编号，中间一个空格。", "Who it is at the OpenID provider: issuer, a blank, subject."
)
READS = Text("网页用的语言：zh-CN 或 en。", "The language of its pages: zh-CN or en.")
PURPOSE = Text("链接的用途。", "What the link is for.")
SESSION = Text("只结束这一个登录。", "Only this one.")

# Answers
NO_ACCOUNTS = Text("还没有账号", "no accounts yet")
COL_ID = Text("编号", "id")
COL_LOGIN = Text("登录名", "login")
COL_NAME = Text("姓名", "name")
COL_PERSON = Text("人员", "person")
COL_ROLES = Text("角色", "roles")
COL_STATE = Text("状态", "state")
COL_SINCE = Text("登录时间", "signed in")
COL_SEEN = Text("最近使用", "last used")
COL_ADDRESS = Text("地址", "address")
COL_SESSION = Text("登录", "session")
STATE_OPEN = Text("可用", "open")
STATE_NO_PASSWORD = Text("没有密码", "no password")
STATE_LOCKED = Text("已停用", "locked")
STATE_ERASED = Text("已删除", "erased")
ADDED = Text("已新建账号 {login}（{id}）", "added the account {login} ({id})")
NEXT_STEP = Text(
    "下一步：设置密码（doorbell-relay account password {login}），或发链接（doorbell-relay account link {login}）",
    "next: a password (doorbell-relay account password {login}), or a link (doorbell-relay account link {login})",
)
ROLES_NOW = Text("{login} 现在的角色：{roles}", "{login} is now: {roles}")
NO_ROLES = Text("没有", "nothing")
LOCKED = Text(
    "已停用 {login}；恢复：doorbell-relay account unlock {login}",
    "locked {login}; to undo: doorbell-relay account unlock {login}",
)
UNLOCKED = Text("已恢复 {login}", "unlocked {login}")
PASSWORD_SET = Text("已设置 {login} 的密码，其他登录已结束", "the password of {login} is set; its sessions are ended")
ENDED = Text("已结束 {count} 个登录", "{count} session(s) ended")
NO_SESSIONS = Text("没有登录", "signed in nowhere")
LINK_MADE = Text(
    "只给本人，只能用一次，{until} 前有效：\n{url}", "for this person alone, good once, until {until}:\n{url}"
)
ERASE_ASK = Text(
    "删除账号 {login}（{name}）的个人资料？不可恢复；只想停用请用 lock",
    "erase the personal data of {login} ({name})? There is no way back; lock only keeps them out",
)
NOT_ERASED = Text("没有删除", "nothing was erased")
ERASED = Text("已删除账号 {id} 的个人资料", "the personal data of account {id} is erased")
ASK_PASSWORD = Text("新密码（至少 12 个字符）", "New password (12 characters at least)")
ASK_AGAIN = Text("再输入一次", "Once more")

# Complaints
NO_ACCOUNT = Text(
    "没有账号 {login}；doorbell-relay account list 列出全部",
    "there is no account {login}; see doorbell-relay account list",
)
IS_ERASED = Text("账号 {id} 已删除", "the account {id} is erased")
BAD_LOGIN = Text(
    "{login} 不能作登录名：2 到 32 个字母、数字、. _ - @，不以符号开头",
    "{login} cannot be a login: 2 to 32 letters, digits, . _ - @, and no sign at first",
)
BAD_NAME = Text("姓名 1 到 40 个字，不能有控制字符", "a name has 1 to 40 characters, none of them hidden")
LOGIN_TAKEN = Text(
    "登录名 {login}（或其 OpenID 身份）已被使用", "the login {login} (or its subject) is another account's"
)
BAD_ROLE = Text(
    "看不懂角色 {role}；写成 角色:小区，角色有 {roles}", "{role} is not ROLE:COMMUNITY; the roles are {roles}"
)
NO_COMMUNITY = Text("登记表里没有小区 {community}", "the register has no community {community}")
NO_PERSON = Text("登记表里没有人员 {person}", "the register has no person {person}")
NEEDS_PERSON = Text("志愿者和联盟成员要写 --person", "volunteers and members of the alliance need --person")
LAST_OFFICE = Text(
    "{login} 是最后一个能管理账号的人；先授予别人 office:*",
    "{login} is the last who can manage accounts; give somebody else office:* first",
)
NO_WEB = Text(
    "设置文件里没有 [web] base_url，链接无处可去", "the settings have no [web] base_url: a link would lead nowhere"
)
PASSWORDS_DIFFER = Text("两次输入的不一样", "the two are not the same")
PASSWORD_SHORT = Text(
    "密码至少 {least} 个字符；四五个互不相干的词就很好",
    "a password has at least {least} characters; four or five unrelated words do well",
)
PASSWORD_LONG = Text("密码最多 {most} 个字符", "a password has at most {most} characters")
PASSWORD_UNPRINTABLE = Text("密码里有看不见的字符", "there are hidden characters in the password")
PASSWORD_COMMON = Text("这个密码太容易猜到", "this password is too easily guessed")
PASSWORD_OWN_NAME = Text("密码里不要用自己的名字", "a password should not be made of one's own name")

ROLE_WORDS: Mapping[Role, Text] = {
    Role.OFFICE: Text("办公室", "office"),
    Role.COORDINATOR: Text("协调员", "coordinator"),
    Role.TECHNICIAN: Text("技术员", "technician"),
    Role.VOLUNTEER: Text("志愿者", "volunteer"),
    Role.ALLIANCE: Text("联盟成员", "alliance member"),
    Role.AUDITOR: Text("监督员", "auditor"),
}
RIGHT_WORDS: Mapping[Right, Text] = {
    Right.LABEL: Text("称呼", "label"),
    Right.PLACE: Text("地址", "place"),
    Right.HELPERS: Text("志愿者姓名", "names of its volunteers"),
    Right.PHONES: Text("志愿者电话", "their telephone numbers"),
    Right.NOTES: Text("备注", "notes"),
    Right.ENTRY: Text("钥匙与进门方法", "keys and how to get in"),
    Right.HOUSEHOLD_DEVICES: Text("住户的设备", "its devices"),
    Right.DEVICES: Text("设备总览", "board of all devices"),
    Right.ACCOUNTS: Text("管理账号", "accounts"),
    Right.AUDIT: Text("操作记录", "audit log"),
}
REACH_WORDS: Mapping[Reach, Text] = {
    Reach.ALL: Text("全部", "all"),
    Reach.PAIRED: Text("结对的", "paired"),
    Reach.HELPING: Text("正在帮忙的", "helping"),
}
PURPOSE_WORDS: Mapping[LinkPurpose, Text] = {
    LinkPurpose.SET_PASSWORD: Text("设置密码", "set a password"),
    LinkPurpose.SIGN_IN: Text("登录", "sign in"),
}
