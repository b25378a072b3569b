"""Words for what the relay knows: stages, kinds, outcomes, states of helpers, types of journal lines."""

from __future__ import annotations

from collections.abc import Mapping

from doorbell.wire import AlarmKind
from relay.core.alarm import AlarmStage, HelperState, NoteType, Outcome
from relay.core.journal import LineType
from relay.retention import Kept
from relay.texts.language import Language, Text
from relay.verdict import Fault

KINDS: Mapping[AlarmKind, Text] = {
    AlarmKind.HELP: Text("求助", "help"),
    AlarmKind.CHECKIN: Text("问候", "check-in"),
    AlarmKind.TECHNICAL: Text("故障", "technical"),
    AlarmKind.REQUEST: Text("需求", "request"),
    AlarmKind.TEST: Text("测试", "test"),
}

STAGES: Mapping[AlarmStage, Text] = {
    AlarmStage.RINGING: Text("正在响铃", "ringing"),
    AlarmStage.ACCEPTED: Text("有人来了", "accepted"),
    AlarmStage.ARRIVED: Text("已到达", "arrived"),
    AlarmStage.CLOSED: Text("已结束", "closed"),
}

OUTCOMES: Mapping[Outcome, Text] = {
    Outcome.HELPED: Text("已帮助", "helped"),
    Outcome.HOSPITAL: Text("送医", "hospital"),
    Outcome.FALSE_ALARM: Text("误按", "false alarm"),
    Outcome.NOBODY_CAME: Text("无人到场", "nobody came"),
    Outcome.CANCELLED: Text("已取消", "cancelled"),
}

HELPER_STATES: Mapping[HelperState, Text] = {
    HelperState.COMING: Text("正在赶来", "coming"),
    HelperState.LATE: Text("未按时到达", "late"),
    HelperState.HANDED_BACK: Text("已交回", "handed back"),
    HelperState.ARRIVED: Text("已到达", "arrived"),
}

LINES: Mapping[NoteType | LineType, Text] = {
    NoteType.RAISED: Text("按铃求助", "raised"),
    NoteType.PRESSED_AGAIN: Text("再次按铃", "pressed again"),
    NoteType.STEP_STARTED: Text("开始呼叫", "step started"),
    NoteType.STEP_DEAF: Text("无一能响", "step deaf"),
    NoteType.STEP_REPEATED: Text("再次呼叫", "step repeated"),
    NoteType.ALL_CALLED: Text("全部呼叫", "all called"),
    NoteType.SOUNDING: Text("铃响了", "sounding"),
    NoteType.SILENT: Text("铃停了", "silent"),
    NoteType.ACCEPTED: Text("接下", "accepted"),
    NoteType.ACCEPTED_LATE: Text("迟到的接下", "accepted late"),
    NoteType.DECLINED: Text("不能来", "declined"),
    NoteType.HANDED_BACK: Text("交回", "handed back"),
    NoteType.NOT_ARRIVED: Text("未按时到达", "not arrived"),
    NoteType.ARRIVED: Text("到达", "arrived"),
    NoteType.OVERDUE: Text("超时未完成", "overdue"),
    NoteType.CLOSED: Text("结束", "closed"),
    NoteType.CLOCK_STEPPED: Text("时钟跳变", "clock stepped"),
    NoteType.HOOK_FAILED: Text("通知失败", "hook failed"),
    NoteType.RECOVERED: Text("审计追回", "recovered"),
    NoteType.WAITING: Text("继续等待", "waiting"),
    LineType.SIGN_OF_LIFE: Text("报平安", "sign of life"),
    LineType.TEST: Text("测试", "test"),
    LineType.FAULT: Text("设备故障", "fault"),
    LineType.IGNORED: Text("未起作用", "changed nothing"),
    LineType.EARLY: Text("早到的回答", "early answer"),
    LineType.DEVICE_ONLINE: Text("设备上线", "device online"),
    LineType.RENEWAL: Text("证书续期", "certificate renewal"),
    LineType.DEVICE_OFFLINE: Text("设备离线", "device offline"),
}
FAULTS: Mapping[Fault, Text] = {
    Fault.DAMAGED: Text("数据库文件损坏", "the database file is damaged"),
    Fault.NOT_DURABLE: Text(
        "服务器设置不保证落盘，断电会丢失已确认的按铃", "the server may lose confirmed presses when its power fails"
    ),
    Fault.NOT_APPEND_ONLY: Text("日志不再受保护，可以被改写", "nothing protects the journal from being changed"),
    Fault.SCHEMA: Text("数据库里缺少这一项", "missing from the database"),
    Fault.NO_ALARM: Text("日志里有，警报表里没有", "the journal tells of it, but the alarm is not there"),
    Fault.NO_JOURNAL: Text("警报表里有，日志里没有", "the alarm is there, but the journal does not tell of it"),
    Fault.UNREADABLE: Text("内容无法读懂", "what is written there cannot be read"),
    Fault.DIFFERENT: Text("警报与日志不一致", "the alarm is not as the journal tells it"),
    Fault.COLUMNS: Text("检索用的列与警报内容不符", "what it is searched by is not what it says"),
    Fault.UNSEALABLE: Text("用隐私密钥打不开，内容被改动过", "cannot be opened with the privacy key: it was changed"),
    Fault.NO_DEADLINE: Text("警报未结束，却没有下一期限", "open, but without a deadline: nothing will wake it"),
}

KEPT: Mapping[Kept, Text] = {
    Kept.ALARMS: Text("已结束的警报及其日志", "closed alarms with their journal"),
    Kept.LINES: Text("其他日志", "other lines of the journal"),
    Kept.EVENTS: Text("设备发来的事件", "events of devices"),
    Kept.REJECTED: Text("不能使用的消息", "rejected messages"),
}

_LINES_BY_NAME = {kind.value: text for kind, text in LINES.items()}


def line_word(name: str, language: Language) -> str:
    """The word for a type of journal line; the bare name for one that a newer relay has written."""
    text = _LINES_BY_NAME.get(name)
    return text.say(language) if text is not None else name
