"""A table of wishes: a CSV file as a spreadsheet writes it, in UTF-8 or, from a Chinese Excel, in GB 18030."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

from relay.provisioning import Mistake, Wish
from relay.texts import provisioning as say

MAX_TABLE_BYTES = 4 * 1024 * 1024
COLUMNS = tuple(field.name for field in fields(Wish) if field.name != "line")
CHINESE = {
    "用途": "role",
    "小区": "community",
    "住户": "household",
    "称呼": "label",
    "地址": "place",
    "志愿者": "person",
    "姓名": "name",
    "电话": "phone",
    "设备": "device",
    "硬件": "hardware",
    "无线网络": "wifi",
    "无线密码": "wifi_password",
}


def read_wishes(raw: bytes) -> tuple[list[Wish], list[Mistake]]:
    """The rows, and what is wrong with the table as such."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", errors="replace")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    wishes: list[Wish] = []
    mistakes: list[Mistake] = []
    columns: list[str] | None = None
    try:
        for row in reader:
            values = [value.strip() for value in row]
            if not any(values):
                continue
            if columns is None:
                columns = _columns(values, mistakes)
                if mistakes:
                    return [], mistakes
            elif len(values) > len(columns):
                mistakes.append(Mistake(reader.line_num, "", say.ROW_TOO_LONG, {}))
            else:
                wishes.append(Wish(line=reader.line_num, **dict(zip(columns, values, strict=False))))
    except csv.Error as error:
        mistakes.append(Mistake(reader.line_num, "", say.BAD_TABLE, {"reason": error}))
    if not wishes and not mistakes:
        mistakes.append(Mistake(1, "", say.NO_ROWS, {}))
    return wishes, mistakes


def _columns(names: list[str], mistakes: list[Mistake]) -> list[str]:
    columns = [CHINESE.get(name, name.lower()) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column not in COLUMNS:
            mistakes.append(Mistake(1, "", say.UNKNOWN_COLUMN, {"found": name, "known": ", ".join(COLUMNS)}))
        elif columns.count(column) > 1:
            mistakes.append(Mistake(1, "", say.COLUMN_TWICE, {"found": name}))
    return columns
