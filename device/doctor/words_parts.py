"""The words of findings about the device itself: what was found, and what to do next. zh-CN first, then English."""

from __future__ import annotations

Words = tuple[str, str, str, str]
"""What in zh-CN, what in English, what to do next in zh-CN, in English; nothing to do is empty."""

PARTS: dict[str, Words] = {
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
        "剩 {free_mb} MB，写入确认用了 {fsync_ms} 毫秒",
        "{free_mb} MB free, a write was confirmed in {fsync_ms} ms",
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
        "写不进去：{reason}",
        "cannot be written: {reason}",
        "用 sudo 运行；还是不行，就检查目录的属主和磁盘",
        "run it with sudo; if it stays so, check the directory's owner and the disk",
    ),
    "disk.missing": (
        "数据目录 {path} 还没有",
        "the state directory {path} is not there yet",
        "启动一次设备，它会自己建立",
        "start the device once: it makes it",
    ),
    "disk.errors": (
        "文件系统记下了 {count} 个错误",
        "the file system has recorded {count} errors",
        "备份 /etc/doorbell，换卡重装",
        "save /etc/doorbell, replace the card, install again",
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
    "power.on_battery": (
        "没有市电，靠电池（{pct}%）",
        "no mains, running on its battery ({pct} %)",
        "看插座和电源插头",
        "see to the socket and the plug",
    ),
    "power.battery_low": (
        "电池只剩 {pct}%",
        "the battery is at {pct} %",
        "接上市电；充不进就换电池",
        "connect the mains; if it does not charge, replace the battery",
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
    "service.unasked": (
        "设备在运行，但问不出有没有警报，没有停设备，按钮、灯和声音没有试",
        "the device runs and cannot be asked whether an alarm is open; it was not stopped, nothing hands-on was tried",
        "看它的灯：没有警报就加 --force",
        "look at its light: if no alarm is open add --force",
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
    "service.fault": (
        "设备自己报了故障：{name}（{subject}）",
        "the device itself tells a fault: {name} ({subject})",
        "{remedy}",
        "{remedy}",
    ),
    "service.silent": (
        "设备在运行，但不回答：{reason}",
        "the device runs and does not answer: {reason}",
        "sudo systemctl restart doorbell-device；看 journalctl -u doorbell-device -n 50",
        "sudo systemctl restart doorbell-device; see journalctl -u doorbell-device -n 50",
    ),
    "service.forbidden": (
        "不能问设备：{reason}",
        "the device may not be asked: {reason}",
        "用 sudo 运行",
        "run it with sudo",
    ),
    "service.refused": (
        "设备不接受这个问题：{reason}",
        "the device refuses the question: {reason}",
        "设备和这个命令的版本不同：重启设备",
        "device and command are of different versions: start the device again",
    ),
    "service.running": ("设备在运行", "the device runs", "", ""),
    "pins.unavailable": (
        "引脚用不了：{reason}",
        "the pins cannot be used: {reason}",
        "用 sudo 运行，停掉别的占用引脚的程序；不是树莓派就用 --pins mock",
        "run it with sudo, stop other programs that hold pins; away from a Raspberry Pi use --pins mock",
    ),
}
