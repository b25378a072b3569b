"""The words and colours of the demo's screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from device.core.signals import Light
from relay.core.alarm import AlarmStage, Outcome
from relay.texts import Text


@dataclass(frozen=True, slots=True)
class Look:
    """How a light is drawn: its words, and a colour of the terminal."""

    words: Text
    colour: str


LOOKS: Mapping[str, Look] = {
    Light.HEARD: Look(Text("听到了", "heard"), "yellow"),
    Light.RECEIVED: Look(Text("收到了", "received"), "bright_yellow"),
    Light.RINGING: Look(Text("门铃在响", "a bell rings"), "bright_red"),
    Light.COMING: Look(Text("有人来了", "coming"), "bright_green"),
    Light.ARRIVED: Look(Text("人到了", "arrived"), "bright_green"),
    Light.UNREACHABLE: Look(Text("暂时联系不上", "cannot reach"), "bright_red"),
    Light.CLOSED: Look(Text("结束了", "it is over"), "cyan"),
    Light.COVERED: Look(Text("有人听着", "covered"), "green"),
    Light.THIN: Look(Text("只有一家听着", "one bell only"), "yellow"),
    Light.UNCOVERED: Look(Text("没人听得见", "nobody hears"), "red"),
    Light.ANSWERING: Look(Text("正在答复", "answering"), "yellow"),
    Light.MINE: Look(Text("我去", "I am going"), "bright_green"),
    Light.TAKEN: Look(Text("有人去了", "another goes"), "bright_blue"),
    Light.READY: Look(Text("待命", "ready"), "green"),
    Light.OFFLINE: Look(Text("连不上", "offline"), "red"),
}
BELL_RINGS = Text("在响", "rings")
UNSEEN = Look(Text("没有消息", "no news"), "red")
DINGDONG = Text("叮咚、叮咚", "ding-dong")

STAGES: Mapping[AlarmStage, Text] = {
    AlarmStage.RINGING: Text("正在呼叫", "calling"),
    AlarmStage.ACCEPTED: Text("{who}来了", "{who} is coming"),
    AlarmStage.ARRIVED: Text("{who}到了", "{who} is there"),
    AlarmStage.CLOSED: Text("结束：{outcome}", "closed: {outcome}"),
}
OUTCOME_WORDS: Mapping[str, Text] = {
    Outcome.HELPED: Text("已帮助", "helped"),
    Outcome.FALSE_ALARM: Text("是误按", "a mistake"),
    Outcome.HOSPITAL: Text("送医", "hospital"),
    Outcome.NOBODY_CAME: Text("无人到场", "nobody came"),
    Outcome.CANCELLED: Text("已取消", "cancelled"),
}

TITLE = Text("爱心门铃", "Love Doorbell")
SUBTITLE = Text("演示：真实的程序，模拟的按键", "demo: real programs, pretend pins")
RELAY_UP = Text("中继在线", "relay up")
RELAY_DOWN = Text("中继已停", "relay down")
FASTER = Text("等待缩短到 1/{speed:g}", "waits {speed:g} times shorter")
HELP_CALL = Text("求助", "help")
TIMES_PRESSED = Text("按了 {presses} 次", "pressed {presses} times")
OK_KEY = Text("平安", "OK")
COMING_KEY = Text("我来", "come")
DONE_KEY = Text("办完", "done")
CANNOT_KEY = Text("不能", "cannot")
QUIET = Text("一切安静。", "All is quiet.")
QUIET_HINT = Text("按 1：柳奶奶按铃求助。按 2：周爷爷。", "Press 1: Grandma Liu calls for help. Press 2: Grandpa Zhou.")
RINGING_HINT = Text("替邻居应答：a b c；或者等下一步", "answer for a neighbour: a b c; or wait for the next step")
ACCEPTED_HINT = Text("人到了就按绿色键：{ok}", "the helper is there? press green: {ok}")
ARRIVED_HINT = Text("办完了就按住门铃三秒：{hold}", "done? hold the bell for 3 s: {hold}")
CLOSED_HINT = Text("结束了", "it is over")
AGAIN = Text("还没有人来，第 {rounds} 次重复", "nobody has come, repeated {rounds} times")
TIMELINE = Text("中继的日志", "the relay's journal")
OFFICE = Text("社区办公室收到的消息", "told to the office")
NO_MESSAGES = Text("还没有消息", "nothing yet")
SECONDS_LEFT = Text("还有 {left} 秒", "{left} s left")
FOOTER: tuple[tuple[str, Text], ...] = (
    ("1 2", Text("按铃", "press")),
    ("o O", Text("平安", "OK")),
    ("a b c", Text("我来", "coming")),
    ("A B C", Text("办完", "done")),
    ("k", Text("杀中继", "kill relay")),
    ("?", Text("帮助", "help")),
    ("q", Text("退出", "quit")),
)
HELP_LINES: tuple[tuple[str, Text], ...] = (
    ("1  2", Text("柳奶奶、周爷爷按下求助按钮", "Grandma Liu's, Grandpa Zhou's help button")),
    ("o  O", Text("她、他的绿色键：平安；误按；人到了", "their green button: I am well; a mistake; my helper is here")),
    ("a  b  c", Text("彭小平、张阿姨、医生按门铃：我来", "Peng, Zhang, the doctor press their bell: I am coming")),
    ("A  B  C", Text("按住门铃三秒：办完了", "they hold their bell for 3 s: done")),
    ("x  y  z", Text("他们的第二个键：我不能来", "their second button: I cannot")),
    (
        "k",
        Text("kill -9 中继，三秒后重启：铃声、灯光、期限都不变", "kill -9 the relay, back after 3 s: nothing is lost"),
    ),
    ("r", Text("关掉中继；再按一次就启动", "switch the relay off; once more starts it")),
    ("q", Text("退出；一切都会停下并清理", "quit; everything is stopped and tidied")),
)
HELP_TITLE = Text("按键", "keys")
HELP_FOOT = Text("一分钟内按三次求助，所有人一起被呼叫。", "Three presses within a minute call everybody at once.")
TOO_SMALL = Text("窗口太小：至少 60 列 20 行", "The window is too small: 60 columns and 20 lines at least")
