"""What stands on labels and on the list for the van, and what is said about them."""

from __future__ import annotations

from relay.texts.language import Text

# Commands and their options
LABELS = Text(
    "打印设备标签（PDF）：地点、用途、编号和二维码，没有人名。",
    "Labels for devices (PDF): the place, what it is, its id and a QR code; no person's name.",
)
DEVICES = Text("设备编号；不写则是全部设备。", "Ids of devices; without any, all of the register.")
PAPER = Text("62mm 标签卷，或 A4 标签纸（24 格，70×37 毫米）。", "A 62 mm roll, or A4 sheets of 24 (70 mm by 37 mm).")
FIRST = Text("A4 标签纸上第一个空格，从 1 数起。", "The first free label of an A4 sheet, counted from 1.")
NAMES = Text(
    "也印老人的称呼；标签贴在人人看得见的墙上，要先问过。",
    "Also print how the elder is called; a label hangs where everybody reads it: ask first.",
)
TO = Text("要写的 PDF 文件。", "The PDF file to write.")

# On paper
PANEL = Text("爱心门铃 · 面板", "Love Doorbell · panel")
BELL = Text("爱心门铃 · 门铃", "Love Doorbell · bell")

# Answers and complaints
MADE = Text("{count} 张标签：{path}", "{count} label(s): {path}")
NO_DEVICES = Text("登记表里没有设备", "there is no device in the register")
NO_FONT = Text(
    "没有中文字体 {path}；请安装软件包 {package}（sudo apt-get install {package}）",
    "the font {path} is not there; install the package {package} (sudo apt-get install {package})",
)
FILE_EXISTS = Text("{path} 已存在；换个名字，或先移走它", "{path} exists; choose another name, or move it away")
