"""The words of the command line, in zh-CN (first) and en. Log events are names and stay as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping

_TEXTS: dict[str, tuple[str, str]] = {
    "about": (
        "爱心门铃的设备程序：老人的面板、志愿者的门铃。",
        "The Love Doorbell's device: an elder's panel, a volunteer's bell.",
    ),
    "examples": ("例子：", "Examples:"),
    "run": ("运行设备，直到被停止", "run the device until it is stopped"),
    "check": ("检查并解释设置文件", "check a settings file and explain it"),
    "lights-off": (
        "灯和蜂鸣器全部关掉（设备已停止时用）",
        "switch light and buzzer off, after the device has stopped",
    ),
    "all_off": ("灯和蜂鸣器已关", "light and buzzer are off"),
    "pins": (
        "看运行中的设备的灯和按钮；模拟引脚还可以按",
        "read the light and the buttons of a running device; press them if they are mock pins",
    ),
    "config": ("设置文件（TOML）", "the settings file (TOML)"),
    "pins_kind": (
        "real：树莓派的引脚；mock：没有树莓派，用控制口按键",
        "real: a Raspberry Pi's pins; mock: no Pi, press through the control socket",
    ),
    "control": (
        "控制口（Unix 套接字）；默认见设置文件里的 control",
        "the control socket; default: see control in the settings file",
    ),
    "log_format": ("日志格式，优先于设置文件", "format of the log, before what the settings file says"),
    "log_level": ("日志级别，优先于设置文件", "level of the log, before what the settings file says"),
    "socket": ("设备的控制口", "the device's control socket"),
    "press": ("按一下：按下，过一会儿松开", "press a button: down, and up after a while"),
    "hold": ("按住（默认 3200 毫秒）", "hold a button (3200 ms by default)"),
    "down": ("按下，不松开", "a button down, and leave it there"),
    "up": ("松开", "a button up"),
    "state": ("现在的状态", "the state now"),
    "watch": ("状态每次变化输出一行，直到 Ctrl-C", "a line at every change, until Ctrl-C"),
    "pin": ("按钮：help、ok（面板），answer、decline（门铃）", "the button: help, ok (panel), answer, decline (bell)"),
    "ms": ("按多久，毫秒", "for how long, in milliseconds"),
    "json": ("每行一个 JSON 对象", "one JSON object a line"),
    "real_pins": (
        "这台设备用的是真的引脚，只有手指能按；要从这里按，请用 --pins mock 启动",
        "this device has real pins, which only a finger can press; to press from here, start it with --pins mock",
    ),
    "config_default": (
        "设置文件（TOML），默认 /etc/doorbell/device.toml",
        "the settings file (TOML), /etc/doorbell/device.toml by default",
    ),
    "doctor": (
        "带技术员逐项检查：按钮、灯、音箱、时钟、磁盘、网络、消息代理、证书、中继、结对",
        "walk a technician through button, light, speaker, clock, disk, network, broker, certificate, relay and pair",
    ),
    "doctor_exit": (
        "退出码：0 都好，1 有警告，2 用法或设置错误，3 有故障，130 被中断",
        "Exit code: 0 all well, 1 warnings, 2 wrong usage or settings, 3 failures, 130 interrupted",
    ),
    "only": ("只看这一项，可以写几次", "look at this only; may be given several times"),
    "yes": ("不提问：要人动手的几项不试", "ask nothing: what needs a person's hands is not tried"),
    "listen": ("用这个 ALSA 设备录音来听，代替人的耳朵", "an ALSA device that listens instead of a person"),
    "force": ("有警报或没送到的事件时也停设备", "stop the device even while an alarm is open or events wait"),
    "doctor_pins": (
        "real：树莓派的引脚；mock：演示，按钮自己按",
        "real: a Raspberry Pi's pins; mock: for a demo, buttons press themselves",
    ),
    "selftest": (
        "让运行中的设备不出声地检查自己，把结果告诉中继",
        "have the running device prove itself without a sound, and tell the relay",
    ),
    "selftest_exit": (
        "退出码：0 都好，1 有警告，3 有故障，69 没有检查成（设备没运行，或有警报）",
        "Exit code: 0 all well, 1 warnings, 3 failures, 69 nothing was proven (no device runs, or an alarm is open)",
    ),
    "receipt_s": ("等中继的回执多少秒", "seconds to wait for the relay's receipt"),
    "wait_s": ("有警报时等多少秒", "seconds to wait while an alarm is open"),
    "json_document": ("输出一个 JSON 文档", "print one JSON document"),
    "out_of_range": ("{name}：{least} 到 {most}", "{name}: {least} to {most}"),
    "no_daemon": (
        "设备 {device} 没有运行，没有检查；先启动：sudo systemctl start doorbell-device",
        "the device {device} does not run, so nothing was proven; start it: sudo systemctl start doorbell-device",
    ),
    "selftest_busy": (
        "设备正忙（{stage}），没有检查；等警报结束，或加 --wait 秒数",
        "the device is busy ({stage}), so nothing was proven; wait until it is over, or add --wait SECONDS",
    ),
    "good": ("设置正确", "The settings are right"),
    "device": ("设备", "device"),
    "role": ("角色", "role"),
    "panel": ("老人的面板", "elder's panel"),
    "bell": ("志愿者的门铃", "volunteer's bell"),
    "community": ("社区", "community"),
    "state_dir": ("数据目录", "state directory"),
    "broker": ("消息代理", "broker"),
    "fallbacks": ("备用消息代理", "fallback brokers"),
    "fallbacks_value": (
        "{list}（按此顺序；约每 {s:g} 秒问一次首选，首选恢复就回去）",
        "{list} (in this order; the first is asked about every {s:g} s, and gone back to when it answers)",
    ),
    "topics": ("主题", "topics"),
    "buttons": ("按钮", "buttons"),
    "light": ("灯", "light"),
    "buzzer": ("蜂鸣器", "buzzer"),
    "none": ("没有", "none"),
    "comma": ("，", ", "),
    "pin_value": ("GPIO{gpio}（第 {place} 脚）", "GPIO{gpio} (pin {place})"),
    "button_value": ("{name} {pin} {how}", "{name} {pin} {how}"),
    # wired_ and a button's pull and active level
    "wired_up_low": ("按下接地（内部上拉）", "to ground when pressed (internal pull-up)"),
    "wired_down_high": ("按下接 3.3 V（内部下拉）", "to 3.3 V when pressed (internal pull-down)"),
    "wired_none_low": ("按下为低电平（外接上拉电阻）", "low when pressed (resistor outside)"),
    "wired_none_high": ("按下为高电平（外接下拉电阻）", "high when pressed (resistor outside)"),
    "wired_up_high": ("按下断开接地（常闭，内部上拉）", "off ground when pressed (opens, internal pull-up)"),
    "wired_down_low": ("按下断开 3.3 V（常闭，内部下拉）", "off 3.3 V when pressed (opens, internal pull-down)"),
    "on_low": ("低电平有效", "on when low"),
    "colours": ("颜色", "colours"),
    "colour_red": ("红", "red"),
    "colour_green": ("绿", "green"),
    "colour_blue": ("蓝", "blue"),
    "colour_yellow": ("黄", "yellow"),
    "colour_cyan": ("青", "cyan"),
    "colour_magenta": ("品红", "magenta"),
    "colour_white": ("白", "white"),
    "note": ("注意", "note"),
    "note_where": ("{use} {pin}：", "{use} {pin}: "),
    # note_ and the code of a WiringNote
    "note_bus_hat": (
        "扩展板的识别芯片用 GPIO0 和 1；装了扩展板就换一个引脚",
        "add-on boards keep their name on GPIO0 and 1; take another pin if one is fitted",
    ),
    "note_bus_i2c": (
        "I2C 总线用 GPIO2 和 3，板上有上拉电阻；装了时钟或电源模块就换一个引脚",
        "I2C is on GPIO2 and 3, with pull-ups on the board; take another pin if a clock or power board is fitted",
    ),
    "note_bus_spi": (
        "SPI 总线用 GPIO7 到 11；打开了 SPI 就换一个引脚",
        "the SPI bus is on GPIO7 to 11; take another pin if SPI is switched on",
    ),
    "note_bus_serial": (
        "串口控制台用 GPIO14 和 15；打开了串口就换一个引脚",
        "the serial console is on GPIO14 and 15; take another pin if it is switched on",
    ),
    "note_bus_i2s": (
        "I2S 声音用 GPIO18 到 21；装了声音扩展板或 I2S 功放就换一个引脚",
        "I2S sound is on GPIO18 to 21; take another pin if a sound board or an I2S amplifier is fitted",
    ),
    "note_on_at_reset": (
        "上电后到设备运行前会微亮或微响；高电平有效的请接 GPIO9 到 27，低电平有效的请接 GPIO0 到 8",
        "on, weakly, from power-on to the start; what is on when high belongs on GPIO9 to 27, when low on GPIO0 to 8",
    ),
    "note_opens": (
        "按下时断开的按钮：线断了就等于按下",
        "this button opens when pressed: a cut lead is a press",
    ),
    "note_floats": (
        "没有内部上拉或下拉：外面必须有电阻，否则没有人按也会响",
        "no resistor inside: without one outside it rings though nobody presses",
    ),
    "note_pull_up": (
        'pull_up 是旧写法，仍然有效；请改写成 pull = "{pull}"',
        'pull_up is the old word and still works; write pull = "{pull}" instead',
    ),
    "thresholds": ("按键判定", "thresholds"),
    "thresholds_value": (
        "按下 {stable} 毫秒算按，按住 {hold} 毫秒算长按，{stuck} 秒算卡住",
        "a press after {stable} ms, a hold after {hold} ms, stuck after {stuck} s",
    ),
    "sound": ("声音", "sound"),
    "sound_value": (
        "{player}，音量 {volume}%（警报不低于 40%）",
        "{player}, volume {volume} % (alarms at 40 at least)",
    ),
    "buzzer_only": ("只用蜂鸣器", "the buzzer only"),
    "reports": ("心跳", "heartbeat"),
    "reports_value": ("每 {s} 秒", "every {s} s"),
    "stage": ("阶段", "stage"),
    "tone": ("声音", "tone"),
    "sounding": ("正在响", "sounding"),
    "outbox": ("待确认", "waiting for receipts"),
    "link": ("连接", "link"),
    "lit": ("亮", "lit"),
    "dark": ("灭", "dark"),
    "up_word": ("已连接", "up"),
    "down_word": ("断开", "down"),
    "is_down": ("按下", "pressed"),
    "is_up": ("松开", "released"),
    # a stage, light or tone: is_ and its name
    "is_idle": ("没有事", "nothing to do"),
    "is_heard": ("听见了", "heard"),
    "is_received": ("已收到", "received"),
    "is_ringing": ("正在响铃", "ringing"),
    "is_coming": ("有人正在来", "somebody is coming"),
    "is_arrived": ("人到了", "arrived"),
    "is_unreachable": ("还没有联系上，继续试", "nobody reached yet, still trying"),
    "is_closed": ("办完了", "closed"),
    "is_notice": ("提醒", "notice"),
    "is_covered": ("有人能听见", "somebody would hear"),
    "is_thin": ("能听见的人少", "few would hear"),
    "is_uncovered": ("没有人能听见", "nobody would hear"),
    "is_answering": ("已应答，等确认", "answered, not confirmed yet"),
    "is_mine": ("我去", "mine"),
    "is_taken": ("别人去", "taken by another"),
    "is_ready": ("待命", "ready"),
    "is_offline": ("断线", "offline"),
    "sounds": (
        "把每一句话、每一种铃声写成 WAV 文件，并列表",
        "write every sentence and chime as a WAV file, and list them",
    ),
    "sounds_out": ("写到这个目录", "the directory to write to"),
    "sounds_language": (
        "zh-CN、en 或 all；默认：设置文件里的，没有则 all",
        "zh-CN, en or all; default: as in the settings file, or all",
    ),
    "sounds_name": ("谁来（默认 彭小平）", "who comes (Peng Xiaoping by default, in Chinese)"),
    "sounds_label": ("谁在叫（默认 柳奶奶）", "who calls (Grandma Liu by default, in Chinese)"),
    "sounds_place": ("在哪里（默认 西湖山小区 3栋502）", "where (West Lake Hill, 3, 502 by default, in Chinese)"),
    "sounds_config": ("设置文件：用其中的语言和录音", "a settings file: its language and recordings"),
    "no_language": ("不会说“{tag}”；会说：{known}", "{tag!r} is not spoken here; known: {known}"),
    "error": ("错误", "error"),
}


def language_of(environment: Mapping[str, str] = os.environ) -> str:
    """``en`` if the locale says English, else ``zh-CN``."""
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "en" if locale.lower().startswith("en") else "zh-CN"


def text(key: str, language: str | None = None, **fields: object) -> str:
    """A sentence in the language given, or in that of the environment."""
    chinese, english = _TEXTS[key]
    return (english if (language or language_of()) == "en" else chinese).format(**fields)
