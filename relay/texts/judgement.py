"""What is wrong with a relay, and what its operator does about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay.judgement import Ailment
from relay.texts.language import Text


@dataclass(frozen=True, slots=True)
class Advice:
    """A problem in words, and the next thing to do."""

    what: Text
    do: Text


ADVICE: Mapping[Ailment, Advice] = {
    Ailment.LOOP_STUCK: Advice(
        Text("中继的主循环停住了。", "The relay's loop does not move."),
        Text(
            "重新启动 doorbell-relay；数据库文件在网络盘上的，先查该网络盘。",
            "Restart doorbell-relay; if its database is on a network disk, look at that disk first.",
        ),
    ),
    Ailment.LINK_DEAD: Advice(
        Text("连接消息代理的线程已经结束。", "The thread that talks to the broker has ended."),
        Text(
            "重新启动 doorbell-relay，并把日志里 link.died 一行交给开发者。",
            "Restart doorbell-relay, and give the log line link.died to the developers.",
        ),
    ),
    Ailment.STORE_REFUSES: Advice(
        Text(
            "数据库不接受写入；按铃信息仍保存在各设备上，尚未响铃。",
            "The database refuses; presses stay on their devices and do not ring yet.",
        ),
        Text(
            "看日志里 store.failed 的原因：磁盘满、只读、被锁，或数据库服务器没有应答。",
            "See the reason in the log line store.failed: disk full, read-only, locked, or no answer from its server.",
        ),
    ),
    Ailment.STORE_UNPROVEN: Advice(
        Text("数据库很久没有完成一次写入。", "The database has not finished a write for long."),
        Text("检查磁盘是否变慢或数据库服务器是否过载。", "See whether its disk is slow or its server overloaded."),
    ),
    Ailment.BROKER_AWAY: Advice(
        Text("没有连上消息代理，听不到任何按铃。", "There is no connection to the broker: no press is heard."),
        Text(
            "看日志里 link.refused 或 link.down 的原因；检查消息代理是否在运行、地址和证书是否正确。",
            "See the reason in the log line link.refused or link.down; see that the broker runs, and its address and "
            "certificates.",
        ),
    ),
}
