"""What ``doorbell-relay broker`` says: its help, its answers, its complaints."""

from __future__ import annotations

from relay.texts.language import Text

# Commands
BROKER = Text("消息代理：生成它的设置，让它立即生效。", "The broker: write its configuration, and make it take effect.")
CONFIG = Text(
    "按登记表和签发的身份，生成消息代理的完整设置：证书、权限、上限。",
    "Write the broker's whole configuration, from the register and what was issued: certificates, rights, limits.",
)
CONFIG_EXITS = Text(
    "退出码：0 已是最新；1 用 --check 时已过时；2 需要人来改。",
    "Exit codes: 0 it is current; 1 with --check, it is not; 2 a person must repair something.",
)
RELOAD = Text(
    "让消息代理重新读取设置，并断开已吊销身份的现有连接。",
    "Make the broker read its configuration again, and end the connections of those who were taken back.",
)

# Options and arguments
KIND = Text("哪种消息代理；不写则用设置文件的 [broker]。", "Which broker, in the place of the settings' [broker] for.")
FOLDER = Text(
    "它的文件夹，里面要有它的证书；不写则用设置文件的 [broker] directory。",
    "Its folder, which must have its certificate; without it, the settings' [broker] directory.",
)
CHECK = Text("只看是否最新，不作改动。", "Only say whether it is current.")
UNIT = Text("消息代理的 systemd 单元。", "The broker's systemd unit.")
PID_FILE = Text("写有消息代理进程号的文件。", "The file with the number of the broker's process.")

# Answers
CURRENT = Text("{folder} 已是最新", "{folder} is current")
OUTDATED = Text("{folder} 已过时：{files}", "{folder} is not current: {files}")
WRITTEN = Text("已写入 {folder}：{files}", "written to {folder}: {files}")
ALLOWED = Text("可以进来：{devices} 台设备，{relays} 台中继", "let in: {devices} device(s), {relays} relay(s)")
WITHOUT_IDENTITY = Text(
    "登记表中有 {count} 台设备还没有身份，进不来：{names}",
    "{count} device(s) of the register have no identity, and are not let in: {names}",
)
UNREGISTERED = Text(
    "有 {count} 台设备有身份但不在登记表中，什么也做不了：{names}",
    "{count} device(s) have an identity, are not in the register, and may do nothing: {names}",
)
CERTIFICATE_ENDS = Text(
    "消息代理的证书还有 {days} 天到期，到期后谁也连不上；续期：doorbell-relay authority renew",
    "the broker's certificate ends in {days} days, and then nobody can connect; renew it: "
    "doorbell-relay authority renew",
)
BEGIN_MOSQUITTO = Text(
    "第一次：在 /etc/mosquitto/mosquitto.conf 里只留一行：include_dir {folder}",
    "The first time: leave one line in /etc/mosquitto/mosquitto.conf: include_dir {folder}",
)
BEGIN_NATS = Text(
    "这样启动：nats-server -c {folder}/love-doorbell.conf", "Start it so: nats-server -c {folder}/love-doorbell.conf"
)
OPEN_FILES = Text(
    "系统允许打开的文件要够多：systemctl edit {unit}，写 [Service] LimitNOFILE={files}",
    "It must be allowed as many open files: systemctl edit {unit}, and write [Service] LimitNOFILE={files}",
)
THEN_RELOAD = Text("然后：doorbell-relay broker reload", "then: doorbell-relay broker reload")
RELOADED = Text("消息代理已重新读取设置", "the broker has been told to read its configuration again")
CUT = Text("已断开：{names}", "connections ended: {names}")
NOBODY_TO_CUT = Text("没有要断开的连接", "nobody's connection had to be ended")

# Complaints
CANNOT_READ = Text("不能读 {path}：{reason}", "cannot read {path}: {reason}")
CANNOT_WRITE = Text("不能写入 {path}：{reason}", "cannot write {path}: {reason}")
NO_BROKER_CERTIFICATE = Text(
    "没有 {path}；先签发消息代理的身份：doorbell-relay authority issue broker 名字 --host 地址 --to {folder}",
    "there is no {path}; issue the broker's identity first: doorbell-relay authority issue broker NAME --host ADDRESS "
    "--to {folder}",
)
OTHER_CERTIFICATE = Text(
    "{path} 不是这个证书机构现在承认的消息代理证书",
    "{path} is no certificate of a broker that this authority stands by",
)
NO_WAY_TO_RELOAD = Text(
    "不知道怎样通知消息代理；在设置文件的 [broker] 写 unit 或 pid_file",
    "nobody knows how to tell the broker: write unit or pid_file in the settings' [broker]",
)
NOT_CURRENT = Text(
    "{folder} 已过时，先生成：doorbell-relay broker config",
    "{folder} is not current; write it first: doorbell-relay broker config",
)
BAD_PID_FILE = Text("{path} 里没有正在运行的进程号（{reason}）", "{path} has no number of a running process ({reason})")
RELOAD_FAILED = Text("{unit} 没有重新读取设置：{reason}", "{unit} did not read its configuration again: {reason}")
NO_TLS = Text(
    "设置文件的 [mqtt.tls] 没有写，不能与消息代理核实连接",
    "the settings have no [mqtt.tls]: the broker cannot be asked",
)
NOT_CUT = Text(
    "没有能断开 {name} 的连接（{host}：{reason}）；改好后再运行一次，或重启消息代理",
    "the connection of {name} could not be ended ({host}: {reason}); repair that and run this again, or restart it",
)
REFUSED = Text("它拒绝核实用的证书", "it refuses the certificate that was made to ask it")
STILL_IN = Text(
    "它仍放它进来，可见还没有读到新设置；请看它的日志",
    "it still lets it in, so it has not read its new configuration: see its log",
)
