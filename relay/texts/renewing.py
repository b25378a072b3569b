"""What ``doorbell-relay authority renew`` and the proof of a reload say."""

from __future__ import annotations

from relay.texts.language import Text

RENEW_HERE = Text(
    "续期本机上的证书：中继的和消息代理的。身份不变，只换密钥和证书；有效期过了三分之二才换。每天运行一次，"
    "见 systemd/doorbell-relay-renew.timer。",
    "Renew the certificates that lie on this machine, the relay's and the broker's: the same identities with new keys, "
    "once two thirds of their life are over. To be run every day: systemd/doorbell-relay-renew.timer.",
)
RENEW_HERE_EXITS = Text(
    "退出码：0 已续期，或还不用续期；2 需要人来改。",
    "Exit codes: 0 renewed, or not due yet; 2 a person must repair something.",
)
FORCE = Text("现在就换，不管还有多久到期。", "Renew now, however long they last still.")
DRY_RUN = Text("只说会换哪些，不作改动。", "Only say which would be renewed.")

# Answers
NOTHING_HERE = Text(
    "设置文件没有写本机的证书：[mqtt.tls] certificate，或 [broker] directory",
    "the settings name no certificate on this machine: [mqtt.tls] certificate, or [broker] directory",
)
NOT_DUE = Text("{name}：有效到 {until}，还不用续期", "{name}: good until {until}, not due yet")
IS_DUE = Text("{name}：有效到 {until}，该续期了", "{name}: good until {until}, due")
RENEWED = Text("{name}：已续期，有效到 {until}（{path}）", "{name}: renewed, good until {until} ({path})")
RELAY_TAKES_IT = Text(
    "正在运行的中继会自己换上：空闲时重新连接", "a relay that runs takes it up by itself, in an idle moment"
)
NO_GAIN = Text(
    "{name}：有效到 {until}，但签发密钥 {issuing} 到期，换了也不会更久；"
    "需要人带根密钥来：doorbell-relay authority renew-issuing",
    "{name}: good until {until}, and could not be renewed for longer, because the issuing authority ends on {issuing}: "
    "somebody with the root's key must come: doorbell-relay authority renew-issuing",
)
NOT_OURS = Text(
    "{path} 不是这个证书机构签发的，或已吊销，没有续期",
    "{path} is not of this authority, or was taken back: not renewed",
)
NOT_ASKED = Text(
    "没有问到 {host} 是否接受新证书：{reason}",
    "{host} could not be asked whether it takes the new certificate: {reason}",
)

PROVED = Text("已核实：它用的就是这些文件", "proved: it uses these very files")
NOT_PROVED = Text(
    "没有能核实消息代理是否已读到新文件：{reason}",
    "it could not be seen whether the broker has read its files: {reason}",
)

# Complaints
NOT_READ = Text(
    "消息代理没有读到新文件（{what}）；请看它的日志，必要时重启它",
    "the broker has not read its files ({what}): see its log, and restart it if it must be",
)
SHOWS_ANOTHER = Text(
    "消息代理出示的仍是旧证书，没有读到新文件；请看它的日志，必要时重启它",
    "the broker shows another certificate than lies in its folder: see its log, and restart it if it must be",
)
OLD_RIGHTS = Text(
    "消息代理用的仍是旧权限，没有读到新文件；请看它的日志，必要时重启它",
    "the broker has not read the new rights: see its log, and restart it if it must be",
)
OLD_LIST = Text(
    "消息代理仍放已吊销的证书进来，没有读到吊销列表；请看它的日志，必要时重启它",
    "the broker lets in what was taken back, so it has not read the list: see its log, and restart it if it must be",
)
CANNOT_READ = Text("不能读 {path}：{reason}", "cannot read {path}: {reason}")
NOT_WRITTEN = Text(
    "{name} 的新证书没有写入 {path}（{reason}）；旧的照常可用",
    "the new certificate of {name} could not be written to {path} ({reason}); the old one is good as before",
)
NEW_REFUSED = Text(
    "{host} 不接受 {name} 的新证书，旧的没有动；消息代理在别处的，"
    "先在那里运行 doorbell-relay broker config 和 broker reload",
    "{host} refuses the new certificate of {name}, and the old one was left; if the broker is on another machine, run "
    "doorbell-relay broker config and broker reload there first",
)
