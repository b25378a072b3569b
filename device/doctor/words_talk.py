"""What ``doctor`` says and asks beside its findings. zh-CN first, then English."""

from __future__ import annotations

from device.texts import language_of

_TALK: dict[str, tuple[str, str]] = {
    "yes_no_skip": ("y 是 / n 不是 / s 跳过", "y yes / n no / s skip"),
    "hello": ("设备 {device}（{role}），{count} 项检查", "Device {device} ({role}), {count} checks"),
    "may_stop": (
        "要试按钮、灯和声音，得把设备停一会儿；这时按铃没人听见。现在停吗？",
        "To try button, light and sound the device must stop for a while; a press is not heard then. Stop it now?",
    ),
    "stopping": ("正在停设备……", "stopping the device ..."),
    "starting": ("正在重新启动设备……", "starting the device again ..."),
    "hands_off": ("先别碰按钮，{s} 秒……", "Do not touch any button for {s} s ..."),
    "press_now": (
        "现在按一下 {button} 按钮，再松开（{s} 秒内）",
        "Press the button {button} now, and release it (within {s} s)",
    ),
    "light_looks": (
        "灯现在应该是：{how}（意思是“{meaning}”）。是这样吗？",
        "The light should now be: {how} (it means '{meaning}'). Is it?",
    ),
    "light_coloured": ("{colour}色，{words}", "{colour}, {words}"),
    "light_steady": ("一直亮", "steadily lit"),
    "light_blinks": ("亮 {on} 秒、灭 {off} 秒", "{on} s on, {off} s off"),
    "light_flashes": ("闪 {count} 下，停 {off} 秒", "{count} flashes, then {off} s off"),
    "listen_now": ("现在放叮咚三次和一段音乐，请听……", "Now 叮咚 three times and a short tune: listen ..."),
    "did_you_hear": ("听见了吗？", "Did you hear it?"),
    "buzzer_now": ("现在蜂鸣器响三声，请听……", "Now the buzzer, three times: listen ..."),
    "recording": ("现在放叮咚三次，用 {recorder} 录音……", "Now 叮咚 three times, recorded by {recorder} ..."),
    "looking": ("正在看{check}……", "looking at {check} ..."),
}


def say(key: str, **fields: object) -> str:
    """A sentence in the language of the environment."""
    chinese, english = _TALK[key]
    return (english if language_of() == "en" else chinese).format(**fields)
