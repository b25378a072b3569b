"""The words of what hands, eyes and ears find: buttons, light, speaker, buzzer. zh-CN first, then English."""

from __future__ import annotations

from device.doctor.words_parts import Words

_WIRES = (
    "检查按钮的两根线：一根接 {pin}，一根接{other}；线、插头、按钮逐个换着试",
    "check the button's two wires: one to {pin}, one to {other}; try another wire, plug and button, one at a time",
)
_STUCK = (
    "松开按钮；还是这样就换按钮，或检查两根线有没有短路",
    "release the button; if it stays so, replace it or look for a short circuit",
)

HANDS: dict[str, Words] = {
    # --- buttons
    "button.readable": ("按钮 {button} 读得到，没有卡住", "the button {button} can be read and is not stuck", "", ""),
    "button.unreadable": (
        "按钮 {button} 的引脚读不到",
        "the line of the button {button} cannot be read",
        "重启设备；还是这样就换树莓派",
        "start the device again; if it stays so, replace the Raspberry Pi",
    ),
    "button.stuck": ("按钮 {button} 卡住了", "the button {button} is stuck", *_STUCK),
    "button.down": ("按钮 {button} 现在是按下的", "the button {button} is down now", *_STUCK),
    "button.good": (
        "{button}，{pin}：按了 {held_ms} 毫秒，抖动 {bounce_ms} 毫秒，{edges} 次跳变",
        "{button}, {pin}: pressed for {held_ms} ms, bounced for {bounce_ms} ms, {edges} edges",
        "",
        "",
    ),
    "button.silent": (
        "{button}，{pin}：没有看到按下",
        "{button}, {pin}: no press was seen",
        *_WIRES,
    ),
    "button.swapped": (
        "按的是 {button}，动的却是 {moved}",
        "{button} was pressed, but the line of {moved} moved",
        "把两个按钮的线对调，或改设置文件里的引脚",
        "swap the wires of the two buttons, or their pins in the settings file",
    ),
    "button.active_at_rest": (
        "{button}，{pin}：没人碰也是按下的",
        "{button}, {pin}: reads as pressed while nobody touches it",
        "按钮卡住、线短路，或设置文件 pins 的 pull、active 与接线不符：doorbell-device check",
        "a stuck button, a short circuit, or pull and active under pins do not fit the wiring: doorbell-device check",
    ),
    "button.inverted": (
        "{button}，{pin}：接反了，松开算按下，按下算松开",
        "{button}, {pin}: inverted, it reads as pressed until it is pressed",
        '换成常开按钮，或在设置文件 pins 里给它写 active = "{active_should}"',
        'use a normally open button, or give it active = "{active_should}" under pins in the settings file',
    ),
    "button.too_short": (
        "{button}，{pin}：接触太短，最长 {longest_ms} 毫秒，要 {stable_ms} 毫秒才算按",
        "{button}, {pin}: contact for {longest_ms} ms at most, and a press needs {stable_ms} ms",
        "再按一次，按稳一点；还是这样就换按钮，或检查松动的线",
        "press once more, firmly; if it stays so, replace the button or look for a loose wire",
    ),
    "button.noisy": (
        "{button}，{pin}：抖动 {bounce_ms} 毫秒，{edges} 次跳变，太多了",
        "{button}, {pin}: bounced for {bounce_ms} ms with {edges} edges, which is too much",
        "触点磨损或线松了：换按钮；线超过一米，加 10 千欧上拉和 100 纳法电容",
        "a worn contact or a loose wire: replace the button; on more than a metre of lead add 10 kOhm and 100 nF",
    ),
    "button.restless": (
        "{button}，{pin}：没人碰，{listened_s} 秒里跳变了 {edges} 次",
        "{button}, {pin}: {edges} edges within {listened_s} s while nobody touched it",
        "线上有干扰：远离电线，用屏蔽线，加 10 千欧上拉和 100 纳法电容",
        "interference: keep the lead away from mains, use a screened one, add 10 kOhm and 100 nF",
    ),
    "button.not_released": (
        "{button}，{pin}：按下后 {waited_s} 秒没有松开",
        "{button}, {pin}: not released within {waited_s} s",
        *_STUCK,
    ),
    "button.not_asked": (
        "没有试",
        "not tried",
        "不带 --yes 再运行一次，站在设备旁边",
        "run it again without --yes, at the device",
    ),
    # --- light
    "light.alive": ("灯和蜂鸣器的线程在运行", "the threads of light and buzzer run", "", ""),
    "light.dead": (
        "灯或蜂鸣器的线程停了",
        "the thread of the light or the buzzer has died",
        "重启设备，把日志发给维护人员",
        "start the device again, and send its log to whoever maintains it",
    ),
    "light.seen": ("“{meaning}”：看见了", "'{meaning}': seen", "", ""),
    "light.wrong": (
        "“{meaning}”：没有看见该有的样子",
        "'{meaning}': not seen as it should be",
        "检查灯的方向（长脚接引脚一边）、330 欧电阻和 {pin} 的线",
        "check which way round the LED is (long leg towards the pin), its 330 Ohm and the wire to {pin}",
    ),
    "light.not_fitted": ("没有装灯", "no light is fitted", "", ""),
    "light.not_asked": (
        "没有看",
        "not looked at",
        "不带 --yes 再运行一次，站在设备旁边",
        "run it again without --yes, at the device",
    ),
    # --- speaker and buzzer
    "sound.played": ("声卡打开了，静音播放完了", "the sound device opened and played silence to its end", "", ""),
    "sound.failed": (
        "播放器打不开声卡，或没有播完",
        "the player cannot open the sound device, or did not play to the end",
        "检查音箱的插头和电源，运行 doorbell-device doctor --only speaker",
        "check the speaker's plug and power, then run doorbell-device doctor --only speaker",
    ),
    "sound.overtaken": (
        "有别的声音要播，静音没有试",
        "something else had to be heard, so silence was not tried",
        "",
        "",
    ),
    "sound.no_player": (
        "只有蜂鸣器，不出声就没法试",
        "there is a buzzer only, which cannot be tried in silence",
        "",
        "",
    ),
    "speaker.heard": ("听见了", "heard", "", ""),
    "speaker.unheard": (
        "没有听见",
        "not heard",
        "检查音箱的电源、插头和音量旋钮；用 aplay -l 看声卡，用 alsamixer 看有没有静音",
        "check the speaker's power, plug and knob; aplay -l lists the sound devices, alsamixer shows what is muted",
    ),
    "speaker.recorded": (
        "麦克风听见了 {notes} 个音里的 {found} 个",
        "the microphone heard {found} of {notes} notes",
        "",
        "",
    ),
    "speaker.not_recorded": (
        "麦克风只听见了 {notes} 个音里的 {found} 个",
        "the microphone heard only {found} of {notes} notes",
        "检查音箱和麦克风 {recorder} 的电源、插头和音量，靠近一点再试",
        "check power, plug and volume of the speaker and of the microphone {recorder}, bring them closer, try again",
    ),
    "speaker.player_failed": (
        "播放器不能播放：{reason}",
        "the player cannot play: {reason}",
        "检查设置文件 sound.player、音箱的插头，以及用户是否在 audio 组",
        "check sound.player in the settings file, the speaker's plug, and that the user is in the group audio",
    ),
    "speaker.recorder_failed": (
        "录音不行：{reason}",
        "recording failed: {reason}",
        "用 arecord -L 看有哪些设备，改 --listen 后面的名字",
        "arecord -L lists the devices; name one of them after --listen",
    ),
    "speaker.no_player": ("没有音箱，只用蜂鸣器", "no speaker, the buzzer only", "", ""),
    "speaker.not_asked": (
        "没有试",
        "not tried",
        "不带 --yes 再运行一次，或用 --listen",
        "run it again without --yes, or with --listen",
    ),
    "buzzer.heard": ("听见了", "heard", "", ""),
    "buzzer.unheard": (
        "没有听见",
        "not heard",
        "检查蜂鸣器的正负极和 {pin} 的线；电流超过 16 毫安要用三极管",
        "check the buzzer's polarity and the wire to {pin}; above 16 mA it needs a transistor",
    ),
    "buzzer.not_fitted": ("没有装蜂鸣器", "no buzzer is fitted", "", ""),
    "buzzer.not_asked": (
        "没有试",
        "not tried",
        "不带 --yes 再运行一次，站在设备旁边",
        "run it again without --yes, at the device",
    ),
}
