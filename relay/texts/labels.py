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

LIST = Text(
    "上门安装单：今天在哪里装什么，带勾选框；有人名，用完销毁。",
    "The list for the van: what is installed where today, with boxes to tick. It names people: shred it.",
)
LIST_TO = Text("写成 PDF 文件；不写则显示在终端。", "Write it as this PDF file, instead of showing it.")

# On paper
BOX_CARD = Text("插卡", "card in")
BOX_POWER = Text("通电", "power")
BOX_LIGHT = Text("灯亮", "light")
BOX_LABEL = Text("贴标签", "label")
BOX_PRESS = Text("按过、响过", "pressed and rang")
TITLE = Text("上门安装单 {date}", "To install, {date}")
PANEL = Text("爱心门铃 · 面板", "Love Doorbell · panel")
BELL = Text("爱心门铃 · 门铃", "Love Doorbell · bell")

# Answers and complaints
LISTED = Text("{count} 处，{devices} 台设备：{path}", "{count} place(s), {devices} device(s): {path}")
COL_WHERE = Text("地点", "where")
COL_WHO = Text("谁", "who")
COL_WHAT = Text("设备", "device")
COL_DONE = Text("做完打勾", "tick what is done")
MADE = Text("{count} 张标签：{path}", "{count} label(s): {path}")
NO_DEVICES = Text("登记表里没有设备", "there is no device in the register")
NO_FONT = Text(
    "没有中文字体 {path}；请安装软件包 {package}（sudo apt-get install {package}）",
    "the font {path} is not there; install the package {package} (sudo apt-get install {package})",
)
FILE_EXISTS = Text("{path} 已存在；换个名字，或先移走它", "{path} exists; choose another name, or move it away")
