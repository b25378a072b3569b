"""Every fault that a device tells, in words: what it means and what to do. The source of docs/faults.md.

    python -m doorbell.faults [--check] [--out docs/faults.md]

A ``fault`` event carries one of these codes in its ``detail``. A code that is told and not here fails a test.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

OUT = Path("docs/faults.md")


@dataclass(frozen=True, slots=True)
class FaultWords:
    """``means`` and ``remedy`` for a technician, in both languages; ``zh`` and ``en`` is the fault's name."""

    zh: str
    en: str
    zh_means: str
    en_means: str
    zh_remedy: str
    en_remedy: str


FAULTS: dict[str, FaultWords] = {
    "button_stuck": FaultWords(
        "按钮卡住",
        "button stuck",
        "按钮被按住太久（默认 60 秒）。卡住期间再按收不到。",
        "A button has been down for too long (60 s by default). Presses cannot be told while it is.",
        "看有没有东西压住；检查按钮和接线。",
        "See whether something leans on it; check the button and its wire.",
    ),
    "button_chatter": FaultWords(
        "按钮乱跳",
        "button chatters",
        "不停地按：进水、生锈、磨损，或真有人在按。求助一次不丢，40 秒报一次；其他键安静 40 秒后才算。",
        "Presses without pause: wet, worn, or a person. Help is told every 40 s, the rest after 40 s of quiet.",
        "先确认人没事，再擦干或更换按钮。安静约 13 分钟后自动消除。",
        "Make sure that the person is well, then dry or change the button. About 13 min of calm clear it.",
    ),
    "button_noisy": FaultWords(
        "按钮线有干扰",
        "button line noisy",
        "干扰持续了一分钟。干扰不会报警，真的按铃照常有效。",
        "Interference for a minute. It raises nothing, and real presses count.",
        "线长时加 10 千欧上拉和 100 纳法电容，离开电源线和灯；看触点有没有锈；见 docs/button.md。",
        "Long lead: 10 kOhm to 3.3 V, 100 nF to ground, away from mains and lamps. Corroded? See docs/button.md.",
    ),
    "outbox_failed": FaultWords(
        "存不了事件",
        "events cannot be kept",
        "存储卡拒绝写入，或 2 秒不应答。按铃照样发出，但断电会丢。",
        "The disk refuses to write, or does not answer for 2 s. A press still goes out, but a power cut would lose it.",
        "换存储卡；满了就清理。",
        "Change the card; if it is full, make room.",
    ),
    "outbox_corrupt": FaultWords(
        "发件箱损坏",
        "outbox corrupt",
        "发件箱文件损坏或消失；能读的已抢救，坏文件改名为 .corrupt-N。",
        "The outbox's file was corrupt or gone; what could be read is saved, the bad file set aside as .corrupt-N.",
        "把坏文件留给开发者；再次发生就换存储卡和电源。",
        "Keep the bad file for the developers; if it comes again change the card and the power supply.",
    ),
    "player_failed": FaultWords(
        "声音放不出来",
        "no sound",
        "播放程序或声卡失效；装了蜂鸣器的由它代替。",
        "The player or the sound card fails; a buzzer, where fitted, takes its place.",
        "检查喇叭、声卡和 [sound] player。",
        "Check speaker, sound card and [sound] player.",
    ),
    "voice_failed": FaultWords(
        "不能说话",
        "no voice",
        "语句说不出来（voice：espeak-ng 缺失或失效；recording：录音文件不能用）；铃声和提示音照常。",
        "Sentences are not spoken (voice: no working espeak-ng; recording: a file is no use); tones and chimes go on.",
        "安装 espeak-ng；录音要 16 位 WAV，不超过 20 秒，见 docs/sounds.md。",
        "Install espeak-ng; a recording is a 16-bit WAV file of at most 20 s, see docs/sounds.md.",
    ),
    "undervoltage": FaultWords(
        "电压不足",
        "undervoltage",
        "供电反复低于 4.63 V，随时可能重启或损坏存储卡。",
        "The supply falls below 4.63 V again and again: it may restart or spoil its card at any moment.",
        "换官方电源和短而粗的线；拔掉多余的 USB 设备。",
        "Use the official supply and a short, thick cable; unplug what it need not feed.",
    ),
    "throttled": FaultWords(
        "被降速",
        "throttled",
        "电压或温度迫使处理器降速。",
        "The processor is held down, for want of power or for heat.",
        "先处理电压不足和过热。",
        "See to undervoltage and heat first.",
    ),
    "hot": FaultWords(
        "过热",
        "hot",
        "处理器温度到了界限（默认 80 ℃）。",
        "The processor is at its limit (80 °C by default).",
        "移开热源和阳光，打开通风，装散热片。",
        "Move it out of the sun and away from heat, let air in, fit a heat sink.",
    ),
    "disk_nearly_full": FaultWords(
        "存储快满了",
        "disk nearly full",
        "放发件箱的分区空间不足。",
        "The outbox's partition has hardly any space left.",
        "找出占空间的文件并删除；检查日志上限。",
        "Find what fills it and delete it; check the limits of the journal.",
    ),
    "disk_read_only": FaultWords(
        "存储只读",
        "disk read-only",
        "分区变成只读：存储卡多半坏了。按铃照样发出。",
        "The partition has turned read-only: most likely the card is broken. A press still goes out.",
        "换存储卡。",
        "Change the card.",
    ),
    "disk_failing": FaultWords(
        "存储将坏",
        "disk failing",
        "文件系统记录了错误，或存储寿命用尽。",
        "The file system has recorded errors, or the memory is worn out.",
        "换存储卡；仅有文件系统错误时可先 fsck。",
        "Change the card; with errors of the file system alone, fsck first.",
    ),
    "clock_unsynced": FaultWords(
        "没有对时",
        "clock not set",
        "网络通，却一直没有对上时间。先后顺序不受影响；证书有效期检查得不那么可靠。",
        "There is a network and no time from it. Order does not suffer; certificates are checked less surely.",
        "放行 UDP 123，或设本地 NTP 服务器；看 timedatectl。",
        "Let UDP 123 through or name a local NTP server; see timedatectl.",
    ),
    "certificate_ends": FaultWords(
        "证书快到期",
        "certificate ends soon",
        "设备自己的证书快到期（一年的证书剩一个月），一直没有换成。到期后连不上。",
        "The device's own certificate ends (of a year a month is left) and was not renewed. Then it cannot connect.",
        "在中继上看 authority renewals，签发等待的请求；设备要有 openssl。见 docs/identity.md。",
        "At the relay see authority renewals and sign what waits; the device needs openssl. See docs/identity.md.",
    ),
    "wifi_weak": FaultWords(
        "无线信号弱",
        "weak Wi-Fi",
        "信号长时间弱于界限（默认 -80 dBm）。",
        "The signal has long been weaker than its limit (-80 dBm by default).",
        "换位置，加中继器，或用网线。",
        "Move it, add an access point, or use a cable.",
    ),
    "on_battery": FaultWords(
        "市电中断",
        "on battery",
        "市电没了，靠电池运行。",
        "Mains power is gone; the battery feeds the device.",
        "检查插头、插座和停电。",
        "Check plug, socket and whether there is a power cut.",
    ),
    "battery_low": FaultWords(
        "电量低",
        "battery low",
        "电池电量到了界限（默认 20%）。",
        "The battery is down to its limit (20 % by default).",
        "恢复供电；充不进就换电池。",
        "Restore power; if it does not charge, change the battery.",
    ),
}


def faults_page() -> str:
    """The whole of docs/faults.md."""
    lines = [
        "# Faults · 故障码",
        "",
        "设备在故障开始和结束时各报一次；`reported.faults` 列出当前的故障。",
        "界限可设置：见 config/*.example.toml 的 `[health]` 和 `[button]`。",
        "",
        "Made by `make docs` from `doorbell/faults.py`. A device tells a fault once when it begins and once when it is",
        "over; `reported.faults` lists what is out of order now. Thresholds are settings: `[health]` and `[button]` in",
        "config/*.example.toml.",
        "",
        "| code | 含义 meaning | 怎么办 what to do |",
        "|---|---|---|",
    ]
    for code, words in FAULTS.items():
        means = f"**{words.zh}**：{words.zh_means}<br>**{words.en}**: {words.en_means}"
        lines.append(f"| `{code}` | {means} | {words.zh_remedy}<br>{words.en_remedy} |")
    return "\n".join([*lines, ""])


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m doorbell.faults", description="Generate docs/faults.md.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"the file to write (default {OUT})")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if it is not current")
    asked = parser.parse_args(arguments)
    out: Path = asked.out
    if out.is_file() and out.read_text(encoding="utf-8") == faults_page():
        return 0
    if asked.check:
        sys.stderr.write(f"{out} is not current: run make docs\n")
        return 1
    out.write_text(faults_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
