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
    Ailment.AUDITOR_SILENT: Advice(
        Text(
            "审计员已经一分钟没有查看数据库：有没有警报被遗忘，现在没人知道。",
            "The auditor has not looked into the database for a minute: nobody knows whether an alarm is forgotten.",
        ),
        Text(
            "看日志里 auditor.failed 的原因；数据库正常而仍不恢复的，重新启动 doorbell-relay。",
            "See the reason in the log line auditor.failed; if the database is well and it stays so, restart "
            "doorbell-relay.",
        ),
    ),
    Ailment.ALARMS_FORGOTTEN: Advice(
        Text(
            "有未结束的警报没有将来的期限：不会再有人被呼叫。",
            "There are open alarms without a deadline that will come: nobody more would be called.",
        ),
        Text(
            "立刻打电话给那一户：日志里 alarm.forgotten 一行有警报号，用 doorbell-relay alarms show 查看是哪一户；"
            "中继会自己重新处理，一分钟后仍在的，重新启动 doorbell-relay，并把日志交给开发者。",
            "Call that household now: the log line alarm.forgotten names the alarm, doorbell-relay alarms show the "
            "household. The relay looks at it again by itself; if it is still there after a minute, restart "
            "doorbell-relay and give the log to the developers.",
        ),
    ),
    Ailment.ALARMS_UNREADABLE: Advice(
        Text(
            "数据库里有警报已经读不出来，日志中也没有它的内容：中继没有在处理它。",
            "An alarm in the database cannot be read, nor what the journal told of it: the relay does not serve it.",
        ),
        Text(
            "日志里 alarm.unreadable 一行有警报号：立刻打电话给那一户；再运行 doorbell-relay store verify，"
            "必要时恢复备份。",
            "The log line alarm.unreadable names it: call that household now; then run doorbell-relay store verify, "
            "and restore a backup if it must be.",
        ),
    ),
    Ailment.ALARMS_REBUILT: Advice(
        Text(
            "启动时有警报的数据损坏，已按流水重建，处理照常继续。",
            "An alarm's row was spoilt when this relay loaded it; it was rebuilt from the journal and goes on.",
        ),
        Text(
            "运行 doorbell-relay store verify，检查磁盘；重新启动后此提示消失。",
            "Run doorbell-relay store verify and look at the disk; a restart clears this.",
        ),
    ),
    Ailment.SHEDDING: Advice(
        Text(
            "中继来不及读完所有设备的心跳；求助和回答不受影响，一个也不丢。",
            "The relay does not keep up with the heartbeats; no press and no answer is dropped.",
        ),
        Text(
            "检查处理器和磁盘是否被别的程序占用；设备很多时，把 report_interval_s 调大或增加一台中继。",
            "See what else uses processor and disk; with very many devices raise report_interval_s or add a relay.",
        ),
    ),
    Ailment.CERTIFICATE_URGENT: Advice(
        Text(
            "有证书已经到期，或七天内到期：到期那天起，整个社区的按铃都听不到。",
            "A certificate has ended, or ends within seven days: from that day on no press of a whole town is heard.",
        ),
        Text(
            "今天就续期：是谁的，看 facts 里的 certificate_days 和日志里 certificate.ends 一行；"
            "做法见 docs/identity.md。",
            "Renew it today. Whose it is stands in the facts (certificate_days) and in the log line certificate.ends; "
            "how to, in docs/identity.md.",
        ),
    ),
    Ailment.CERTIFICATE_ENDS: Advice(
        Text("有证书三十天内到期。", "A certificate ends within thirty days."),
        Text(
            "是谁的，看 facts 里的 certificate_days 和日志里 certificate.ends 一行；做法见 docs/identity.md。",
            "Whose it is stands in the facts (certificate_days) and in the log line certificate.ends; what to do is in "
            "docs/identity.md.",
        ),
    ),
    Ailment.CLOCK_WRONG: Advice(
        Text(
            "这台机器的时钟肯定不对：证书还剩多少天，没人知道。",
            "This machine's clock is certainly wrong: nobody knows how long certificates last.",
        ),
        Text(
            "检查对时服务（timedatectl status），没有网络的，手工设置时间。",
            "See that its time service runs (timedatectl status); without a network set the time by hand.",
        ),
    ),
}
