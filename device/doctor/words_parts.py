"""The words of findings about the device itself: what was found, and what to do next. zh-CN first, then English."""

from __future__ import annotations

Words = tuple[str, str, str, str]
"""What in zh-CN, what in English, what to do next in zh-CN, in English; nothing to do is empty."""

_WIRES = (
    "检查按钮的两根线：一根接 {pin}，一根接{other}；线、插头、按钮逐个换着试",
    "check the button's two wires: one to {pin}, one to {other}; try another wire, plug and button, one at a time",
)
_STUCK = (
    "松开按钮；还是这样就换按钮，或检查两根线有没有短路",
    "release the button; if it stays so, replace it or look for a short circuit",
)

PARTS: dict[str, Words] = {
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
        "按钮 {button}（{pin}）：按了 {held_ms} 毫秒，抖动 {bounce_ms} 毫秒，{edges} 次跳变",
        "button {button} ({pin}): pressed for {held_ms} ms, bounced for {bounce_ms} ms, {edges} edges",
        "",
        "",
    ),
    "button.silent": (
        "按钮 {button}（{pin}）：没有看到按下",
        "button {button} ({pin}): no press was seen",
        *_WIRES,
    ),
    "button.swapped": (
        "按的是 {button}，动的却是 {moved}",
        "{button} was pressed, but the line of {moved} moved",
        "把两个按钮的线对调，或改设置文件里的引脚",
        "swap the wires of the two buttons, or their pins in the settings file",
    ),
    "button.active_at_rest": (
        "按钮 {button}（{pin}）：没人碰也是按下的",
        "button {button} ({pin}): reads as pressed while nobody touches it",
        "按钮卡住、线短路，或设置文件的 pull_up 与接线不符；常闭按钮不能用",
        "a stuck button, a short circuit, or pull_up does not fit the wiring; a normally closed button cannot be used",
    ),
    "button.inverted": (
        "按钮 {button}（{pin}）：接反了，松开算按下，按下算松开",
        "button {button} ({pin}): inverted, it reads as pressed until it is pressed",
        "换成常开按钮，或把设置文件的 pull_up 改成 {pull_up_should}",
        "use a normally open button, or set pull_up = {pull_up_should} in the settings file",
    ),
    "button.too_short": (
        "按钮 {button}（{pin}）：接触太短，最长 {longest_ms} 毫秒，要 {stable_ms} 毫秒才算按",
        "button {button} ({pin}): contact for {longest_ms} ms at most, and a press needs {stable_ms} ms",
        "再按一次，按稳一点；还是这样就换按钮，或检查松动的线",
        "press once more, firmly; if it stays so, replace the button or look for a loose wire",
    ),
    "button.noisy": (
        "按钮 {button}（{pin}）：抖动 {bounce_ms} 毫秒，{edges} 次跳变，太多了",
        "button {button} ({pin}): bounced for {bounce_ms} ms with {edges} edges, which is too much",
        "触点磨损或线松了：换按钮；线超过一米，加 10 千欧上拉和 100 纳法电容",
        "a worn contact or a loose wire: replace the button; on more than a metre of lead add 10 kOhm and 100 nF",
    ),
    "button.restless": (
        "按钮 {button}（{pin}）：没人碰，{listened_s} 秒里跳变了 {edges} 次",
        "button {button} ({pin}): {edges} edges within {listened_s} s while nobody touched it",
        "线上有干扰：远离电线，用屏蔽线，加 10 千欧上拉和 100 纳法电容",
        "interference: keep the lead away from mains, use a screened one, add 10 kOhm and 100 nF",
    ),
    "button.not_released": (
        "按钮 {button}（{pin}）：按下后 {waited_s} 秒没有松开",
        "button {button} ({pin}): not released within {waited_s} s",
        *_STUCK,
    ),
    "button.not_asked": (
        "按钮没有试",
        "the buttons were not tried",
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
    "light.seen": ("灯“{meaning}”：看见了", "light '{meaning}': seen", "", ""),
    "light.wrong": (
        "灯“{meaning}”：没有看见该有的样子",
        "light '{meaning}': not seen as it should be",
        "检查灯的方向（长脚接引脚一边）、330 欧电阻和 {pin} 的线",
        "check which way round the LED is (long leg towards the pin), its 330 Ohm and the wire to {pin}",
    ),
    "light.not_fitted": ("没有装灯", "no light is fitted", "", ""),
    "light.not_asked": (
        "灯没有看",
        "the light was not looked at",
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
    "speaker.heard": ("音箱：听见了", "speaker: heard", "", ""),
    "speaker.unheard": (
        "音箱：没有听见",
        "speaker: not heard",
        "检查音箱的电源、插头和音量旋钮；用 aplay -l 看声卡，用 alsamixer 看有没有静音",
        "check the speaker's power, plug and knob; aplay -l lists the sound devices, alsamixer shows what is muted",
    ),
    "speaker.recorded": (
        "音箱：麦克风听见了 {heard} 个音里的 {found} 个",
        "speaker: the microphone heard {found} of {heard} notes",
        "",
        "",
    ),
    "speaker.not_recorded": (
        "音箱：麦克风只听见了 {heard} 个音里的 {found} 个",
        "speaker: the microphone heard only {found} of {heard} notes",
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
        "音箱没有试",
        "the speaker was not tried",
        "不带 --yes 再运行一次，或用 --listen",
        "run it again without --yes, or with --listen",
    ),
    "buzzer.heard": ("蜂鸣器：听见了", "buzzer: heard", "", ""),
    "buzzer.unheard": (
        "蜂鸣器：没有听见",
        "buzzer: not heard",
        "检查蜂鸣器的正负极和 {pin} 的线；电流超过 16 毫安要用三极管",
        "check the buzzer's polarity and the wire to {pin}; above 16 mA it needs a transistor",
    ),
    "buzzer.not_fitted": ("没有装蜂鸣器", "no buzzer is fitted", "", ""),
    "buzzer.not_asked": (
        "蜂鸣器没有试",
        "the buzzer was not tried",
        "不带 --yes 再运行一次，站在设备旁边",
        "run it again without --yes, at the device",
    ),
    # --- clock
    "clock.synced": ("时钟已同步", "the clock is synchronised", "", ""),
    "clock.unsynced": (
        "时钟还没有同步",
        "the clock has not been synchronised since the device started",
        "网络通了再等两分钟；还是这样就检查路由器是否挡了 NTP（UDP 123），看 timedatectl timesync-status",
        "wait two minutes once the network is up; then see timedatectl timesync-status: does the router block UDP 123?",
    ),
    "clock.lost": (
        "时钟是 {year} 年，不对",
        "the clock says {year}, which cannot be",
        "接上网络等它同步；断电常发生的地方装一块带电池的 RTC",
        "connect the network and wait for it; where power cuts are common fit an RTC with a battery",
    ),
    "clock.rtc": ("有 RTC，与时钟差 {offset_s} 秒", "there is an RTC, {offset_s} s from the clock", "", ""),
    "clock.rtc_off": (
        "RTC 与时钟差 {offset_s} 秒",
        "the RTC is {offset_s} s from the clock",
        "同步后运行 hwclock --systohc；过几天又差了就换 RTC 的电池",
        "once synchronised run hwclock --systohc; if it strays again within days, replace the RTC's battery",
    ),
    "clock.no_rtc": (
        "没有 RTC：断电后要等网络才知道时间",
        "no RTC: after a power cut the time is unknown until the network is there",
        "",
        "",
    ),
    # --- disk
    "outbox.written": ("发件箱写得进、读得回、删得掉", "the outbox was written, read back and emptied", "", ""),
    "outbox.refused": (
        "磁盘拒绝：{reason}",
        "the disk refuses: {reason}",
        "运行 doorbell-device doctor --only disk；满了就清理，坏了就换卡",
        "run doorbell-device doctor --only disk; make room if it is full, replace the card if it is broken",
    ),
    "outbox.not_written": (
        "发件箱没有写到磁盘上",
        "the outbox did not reach the disk",
        "运行 doorbell-device doctor --only disk；满了就清理，坏了就换卡",
        "run doorbell-device doctor --only disk; make room if it is full, replace the card if it is broken",
    ),
    "disk.good": (
        "磁盘：剩 {free_mb} MB，写入确认用了 {fsync_ms} 毫秒",
        "disk: {free_mb} MB free, a write was confirmed in {fsync_ms} ms",
        "",
        "",
    ),
    "disk.low": (
        "磁盘快满了，只剩 {free_mb} MB",
        "the disk is nearly full, {free_mb} MB left",
        "清理：journalctl --vacuum-size=50M、apt-get clean；看是什么占了地方：du -xh / | sort -h | tail",
        "make room: journalctl --vacuum-size=50M, apt-get clean; du -xh / | sort -h | tail shows what is large",
    ),
    "disk.slow": (
        "磁盘很慢，写入确认用了 {fsync_ms} 毫秒",
        "the disk is slow: a write was confirmed only after {fsync_ms} ms",
        "换一张 A1 或 A2 级的存储卡",
        "replace the card by one of class A1 or A2",
    ),
    "disk.read_only": (
        "{path} 是只读的：重启后没送到的事件会丢",
        "{path} is read-only: what is not delivered is lost at the next start",
        "多半是存储卡坏了：看 dmesg 里的 mmc 和 EXT4 错误，换卡重装",
        "most likely the card is failing: look for mmc and EXT4 errors in dmesg, replace the card, install again",
    ),
    "disk.unwritable": (
        "{path} 写不进去：{reason}",
        "{path} cannot be written: {reason}",
        "用 sudo 运行；还是不行，就检查目录的属主和磁盘",
        "run it with sudo; if it stays so, check the directory's owner and the disk",
    ),
    "disk.errors": (
        "文件系统记下了 {count} 个错误",
        "the file system has recorded {count} errors",
        "备份 /etc/doorbell-device，换卡重装",
        "save /etc/doorbell-device, replace the card, install again",
    ),
    "disk.set_aside": (
        "发件箱坏过，留下了 {count} 份：{files}",
        "the outbox was corrupt, {count} copies were set aside: {files}",
        "多半是断电或存储卡坏了：把它们拷给维护人员再删，换卡",
        "a power cut or a failing card: copy them for whoever maintains the device, delete them, replace the card",
    ),
    # --- power
    "power.good": ("供电正常，开机以来没有欠压", "power is good, no undervoltage since the start", "", ""),
    "power.undervoltage_now": (
        "现在欠压",
        "undervoltage now",
        "换树莓派原装电源和短而粗的线；拔掉多余的 USB 设备",
        "use the Raspberry Pi's own supply and a short thick cable; unplug what USB devices are not needed",
    ),
    "power.undervoltage_since_boot": (
        "开机以来欠压过",
        "there has been undervoltage since the start",
        "换树莓派原装电源和短而粗的线",
        "use the Raspberry Pi's own supply and a short thick cable",
    ),
    "power.hot": (
        "处理器 {cpu_c} 度，太热",
        "the processor is at {cpu_c} degrees, too hot",
        "让外壳通风，远离灶台和阳光，加散热片",
        "give the case air, keep it from stove and sun, fit a heat sink",
    ),
    "power.unknown": ("这台机器说不出供电情况", "this machine cannot tell how its power is", "", ""),
    # --- the service
    "service.alarm_open": (
        "有警报没有结束（{stage}），没有停设备，按钮、灯和声音没有试",
        "an alarm is open ({stage}): the device was not stopped, so button, light and sound were not tried",
        "等它结束再来；真要现在试，加 --force",
        "come back when it is over; to try now all the same, add --force",
    ),
    "service.outbox_waiting": (
        "还有 {outbox} 个事件没送到，没有停设备，按钮、灯和声音没有试",
        "{outbox} events are not delivered yet: the device was not stopped, so button, light and sound were not tried",
        "先修好网络；真要现在试，加 --force（事件在磁盘上，不会丢）",
        "repair the network first; to try now all the same, add --force (they are on disk and will not be lost)",
    ),
    "service.left_running": (
        "设备在运行，没有停，按钮、灯和声音没有试",
        "the device runs and was not stopped, so button, light and sound were not tried",
        "不带 --yes 再运行一次，并同意停一会儿",
        "run it again without --yes, and agree to stop it for a while",
    ),
    "service.by_hand": (
        "设备不是由 systemd 启动的，停不了，按钮、灯和声音没有试",
        "the device was not started by systemd, so it was not stopped; button, light and sound were not tried",
        "在它的终端按 Ctrl-C，再运行一次",
        "press Ctrl-C in its terminal, then run this again",
    ),
    "service.not_stopped": (
        "停不了设备：{reason}",
        "the device cannot be stopped: {reason}",
        "用 sudo 运行",
        "run it with sudo",
    ),
    "service.not_started": (
        "设备没有重新运行：{reason}。现在按铃没人听见！",
        "the device did not start again: {reason}. A press is not heard now!",
        "sudo systemctl start {unit}；看 journalctl -u {unit} -n 50",
        "sudo systemctl start {unit}; see journalctl -u {unit} -n 50",
    ),
    "service.started": ("设备又在运行了", "the device runs again", "", ""),
    "service.not_running": (
        "设备没有运行：现在按铃没人听见",
        "the device does not run: a press is not heard now",
        "sudo systemctl enable --now {unit}",
        "sudo systemctl enable --now {unit}",
    ),
    "service.running": ("设备在运行", "the device runs", "", ""),
    "pins.unavailable": (
        "引脚用不了：{reason}",
        "the pins cannot be used: {reason}",
        "用 sudo 运行，停掉别的占用引脚的程序；不是树莓派就用 --pins mock",
        "run it with sudo, stop other programs that hold pins; away from a Raspberry Pi use --pins mock",
    ),
}
