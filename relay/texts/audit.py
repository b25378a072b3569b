"""What ``doorbell-relay audit`` says, and the words for what is in the audit log."""

from __future__ import annotations

from collections.abc import Mapping

from relay.audit import AuditFault, AuditWord
from relay.texts.language import Language, Text

# Commands
AUDIT = Text(
    "操作记录：谁看过哪一户、谁改过什么；列出、核对、导出。",
    "The audit log: who looked at whom, who changed what. List, verify, export.",
)
AUDIT_LIST = Text("列出最近的操作记录，最新的在前。", "List the newest lines of the audit log, newest first.")
AUDIT_VERIFY = Text(
    "核对操作记录是否完整：有没有被改、被删、被插入、被调换的行。",
    "Check that the audit log is whole: no line changed, removed, put in or moved.",
)
AUDIT_VERIFY_EXITS = Text(
    "退出码：0 完整；1 有问题，已逐条列出；69 数据库不能用。",
    "Exit codes: 0 it is whole; 1 something is wrong, and was listed; 69 the database is out of reach.",
)
AUDIT_EXPORT = Text(
    "把操作记录写成文件，每行一个 JSON，连同哈希。",
    "Write the audit log to a file, one JSON object a line, with hashes.",
)

# Options and arguments
HOUSEHOLD = Text("只要与这一户有关的。", "Of this household only.")
PERSON = Text("只要与这个人有关的。", "Of this person only.")
DEVICE = Text("只要与这台设备有关的。", "Of this device only.")
ACCOUNT = Text("只要这个账号做的或对它做的。", "By this account, or done to it, only.")
WHO = Text("只要这个人做的，例如 os:root。", "By this one only, e.g. os:root.")
WORD = Text("只要这一种操作。", "Of this kind only.")
BEFORE_SEQ = Text("只要编号小于它的：用来往前翻页。", "Only those with a smaller number: to turn the page.")
HEAD = Text(
    "另外记下来的末行（编号:哈希），也要与它核对；可写多次。",
    "A head that you have noted elsewhere (NUMBER:HASH), to compare with; may be given several times.",
)

# Answers
NO_LINES = Text("没有这样的操作记录", "no such lines")
MORE_LINES = Text("更早的：加 --before {seq}", "earlier ones: add --before {seq}")
COL_AUDIT = Text("操作记录", "audit log")
COL_SEQ = Text("编号", "no")
COL_WHEN = Text("时间", "time")
COL_WHO = Text("谁", "who")
COL_DID = Text("做了什么", "what")
COL_ABOUT = Text("对象", "about")
COL_FACTS = Text("细节", "detail")
WHOLE = Text(
    "操作记录完整：{lines} 行（{first} 到 {last}）", "the audit log is whole: {lines} lines ({first} to {last})"
)
HEAD_IS = Text(
    "末行：{head}\n请抄在别处（纸上、另一台机器）；以后用 --head 核对，就能发现末尾被删。",
    "head: {head}\nNote it elsewhere (on paper, another machine): --head shows later whether the end was cut off.",
)
NOT_COMPARED = Text(
    "没有找到记下的末行（{path}），末尾是否被删无法判断；请用 --head",
    "there is no noted head ({path}): whether the end was cut off cannot be told; use --head",
)
BROKEN = Text(
    "发现 {count} 处问题（已核对 {lines} 行）；怎么办见 docs/people.md",
    "{count} thing(s) wrong ({lines} lines checked); docs/people.md says what to do",
)
AT_LINE = Text("第 {seq} 行", "line {seq}")
BAD_HEAD = Text("{head} 不是“编号:哈希”", "{head} is not NUMBER:HASH")
HEAD_NOT_NOTED = Text(
    "末行没能记到 {path}：{reason}；末尾被删将不易发现",
    "the head could not be noted in {path}: {reason}; a cut-off end would be hard to notice",
)
EXPORTED = Text("已写入 {path}：{count} 行", "{count} lines written to {path}")

FAULTS: Mapping[AuditFault, Text] = {
    AuditFault.ALTERED: Text(
        "与上一行接不上：这一行或上一行被改过、是插入的或调换过",
        "does not follow from the one before: one of them was changed, put in or moved",
    ),
    AuditFault.MISSING: Text("前面缺少行", "lines before it are missing"),
    AuditFault.BEHEADED: Text("前面的行不见了，也没有清理记录", "the lines before it are gone, and no cut tells why"),
    AuditFault.REVIVED: Text("清理记录说它已删除，它却还在", "a cut tells that it was removed, and it is there"),
    AuditFault.TRUNCATED: Text(
        "记下的末行不在：末尾被删，或恢复过较早的备份",
        "this noted head is not there: the end was cut off, or an older back-up restored",
    ),
    AuditFault.REWRITTEN: Text(
        "与记下的末行不同：到这里为止都是重写的", "not as noted: all up to here was written anew"
    ),
    AuditFault.UNPROTECTED: Text("数据库不再阻止改写操作记录", "the database no longer refuses changes of the log"),
}

WORDS: Mapping[AuditWord, Text] = {
    AuditWord.HOUSEHOLD_SEEN: Text("查看住户", "saw a household"),
    AuditWord.HOUSEHOLDS_LISTED: Text("列出住户", "listed households"),
    AuditWord.REGISTER_EXPORTED: Text("导出登记表", "exported the register"),
    AuditWord.ALARMS_LISTED: Text("列出警报", "listed alarms"),
    AuditWord.ALARM_SEEN: Text("查看警报", "saw an alarm"),
    AuditWord.ALARMS_WATCHED: Text("实时观看警报", "watched alarms"),
    AuditWord.JOURNAL_READ: Text("读日志", "read the journal"),
    AuditWord.REJECTED_READ: Text("读不能使用的消息", "read rejected messages"),
    AuditWord.AUDIT_READ: Text("读操作记录", "read the audit log"),
    AuditWord.AUDIT_EXPORTED: Text("导出操作记录", "exported the audit log"),
    AuditWord.PERSON_EXPORTED: Text("导出一个人的资料", "exported a person's data"),
    AuditWord.REGISTER_IMPORTED: Text("导入登记表", "imported a register"),
    AuditWord.ALARM_CLOSE_ASKED: Text("要求结束警报", "asked to close an alarm"),
    AuditWord.PERSON_ERASED: Text("删除一个人的资料", "erased a person's data"),
    AuditWord.KEY_ROTATED: Text("更换隐私密钥", "replaced the privacy key"),
    AuditWord.STORE_BACKED_UP: Text("备份数据库", "backed up the database"),
    AuditWord.STORE_RESTORED: Text("恢复数据库", "restored the database"),
    AuditWord.STORE_RETAINED: Text("清理过期记录", "deleted what was old"),
    AuditWord.AUDIT_CUT: Text("清理过期的操作记录", "cut the audit log"),
    AuditWord.AUTHORITY_CREATED: Text("建立证书机构", "created the authority"),
    AuditWord.ISSUING_RENEWED: Text("更新签发证书", "renewed the issuing authority"),
    AuditWord.IDENTITY_ISSUED: Text("签发身份", "issued an identity"),
    AuditWord.IDENTITY_SIGNED: Text("签署申请", "signed a request"),
    AuditWord.IDENTITY_REVOKED: Text("吊销身份", "revoked an identity"),
    AuditWord.ACCOUNT_ADDED: Text("新建账号", "added an account"),
    AuditWord.ACCOUNT_CHANGED: Text("修改账号", "changed an account"),
    AuditWord.ACCOUNT_LOCKED: Text("停用账号", "locked an account"),
    AuditWord.ACCOUNT_UNLOCKED: Text("恢复账号", "unlocked an account"),
    AuditWord.ACCOUNT_ERASED: Text("删除账号的个人资料", "erased an account's personal data"),
    AuditWord.ROLE_GIVEN: Text("授予角色", "gave a role"),
    AuditWord.ROLE_TAKEN: Text("收回角色", "took a role back"),
    AuditWord.PASSWORD_SET: Text("设置密码", "set a password"),
    AuditWord.LINK_MADE: Text("生成个人链接", "made a personal link"),
    AuditWord.SIGNED_IN: Text("登录", "signed in"),
    AuditWord.SIGN_IN_FAILED: Text("登录失败", "failed to sign in"),
    AuditWord.SIGNED_OUT: Text("退出登录", "signed out"),
    AuditWord.SESSIONS_ENDED: Text("结束登录", "ended sessions"),
    AuditWord.REFUSED: Text("无权访问", "was refused"),
}
_BY_NAME = {word.value: text for word, text in WORDS.items()}


def audit_word(name: str, language: Language) -> str:
    """The word for what a line tells; the bare name for one that a newer release has written."""
    text = _BY_NAME.get(name)
    return name if text is None else text.say(language)
