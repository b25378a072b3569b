"""What ``doorbell-relay authority`` says: its help, its answers, its complaints."""

from __future__ import annotations

from relay.core.renewal import Renewal
from relay.issued import Purpose, Why
from relay.texts.language import Text

# Commands
AUTHORITY = Text(
    "证书：社区自己的证书机构，谁有哪张证书，谁不许再进来。",
    "Certificates: the community's own authority, who has which one, who is not let in any more.",
)
CREATE = Text(
    "建立社区的证书机构。根密钥用口令加密，建立后可以移走锁好：平时用不到它。",
    "Make the community's authority. The root's key is encrypted by a passphrase and may be taken away and locked up "
    "afterwards: nothing daily needs it.",
)
SHOW = Text(
    "显示证书机构和每个身份：有效到何时，是否已吊销。",
    "Show the authority and every identity: until when, or taken back.",
)
RENEW_ISSUING = Text(
    "换一把新的签发密钥（每两年一次，要用根密钥）；已经签发的证书照常有效。",
    "Renew the issuing authority (every two years, with the root's key); what was issued before stays good.",
)
ISSUE = Text(
    "签发新的身份：证书和密钥写入一个新文件夹。", "Issue a new identity: its certificate and key go into a new folder."
)
ISSUE_DEVICE = Text("给一台设备签发身份。", "Issue the identity of a device.")
ISSUE_RELAY = Text("给一台中继签发身份。", "Issue the identity of a relay.")
ISSUE_BROKER = Text("给一台消息代理签发身份。", "Issue the identity of a broker.")
SIGN = Text(
    "为别处生成的密钥签发证书：读入证书请求（CSR），密钥不离开那台机器。",
    "Sign a request (CSR) for a key that was made elsewhere and never leaves there.",
)
REVOKE = Text(
    "吊销一个身份：丢失、被盗、损坏或已更换。设置文件有 [broker] 时，它的连接立即断开。",
    "Take an identity back: it was lost, stolen, is broken, or was replaced. Where the settings have a [broker], its "
    "connection ends at once.",
)

RENEWALS = Text(
    "显示设备的续期请求。中继所在机器上有签发密钥时它自己签，否则用 --sign 签。",
    "Show what devices have asked for. A relay signs by itself where the issuing key is; elsewhere --sign does.",
)

# Options and arguments
SIGN_WAITING = Text("签发所有等待的请求。", "Sign every request that waits.")
FOLDER = Text(
    "证书机构的文件夹；不写则用设置文件的 [authority] directory。",
    "The authority's folder, in the place of the settings' [authority] directory.",
)
COMMUNITY = Text(
    "证书机构的名称，给人看的，例如社区名。", "A name of the authority for people, such as the community's."
)
ROOT_PASSPHRASE_FILE = Text(
    "根密钥的口令在这个文件的第一行；不写则在终端询问。",
    "A file whose first line is the passphrase of the root's key; without it the terminal is asked.",
)
ROOT_KEY_FILE = Text(
    "根密钥文件，例如在 U 盘上；不写则在证书机构的文件夹里找。",
    "The file of the root's key, on a USB stick for instance; without it, in the authority's folder.",
)
DEVICE_NAME = Text("设备编号，同登记表。", "The device's id, as in the register.")
RELAY_NAME = Text("中继的名字，同它的设置文件。", "The relay's name, as in its settings.")
BROKER_NAME = Text("消息代理的名字。", "A name for the broker.")
HOST = Text(
    "设备连接它用的主机名或地址；可写多次，所有的都要写。",
    "The name or address by which devices reach it; may be given several times, and every one must be.",
)
TO_FOLDER = Text(
    "要新建的文件夹；不写则在当前文件夹下用它的名字。",
    "The folder to make; without it, its name in the present folder.",
)
TO_FILE = Text("要写的证书文件；不写则输出到终端。", "The file to write the certificate to, instead of the terminal.")
REPLACE = Text(
    "先吊销这个名字现有的身份，写明原因。", "Take the present identity of this name back first, for this reason."
)
REQUEST = Text("证书请求文件（PKCS #10，PEM）。", "The file with the request (PKCS #10, PEM).")
PURPOSE = Text("给谁用。", "Whom it is for.")
RENEW = Text("续期：身份不变，只换密钥。", "Renew: the same identity, with a new key.")
IDENTITY = Text(
    "身份的名字：设备编号、relay-名字 或 broker.名字。",
    "The identity's name: a device's id, relay-NAME or broker.NAME.",
)
WHY = Text("原因。", "The reason.")

# Answers
ASK_ROOT_PASSPHRASE = Text("根密钥的口令", "Passphrase of the root's key")
ASK_AGAIN = Text("再输入一次", "Once more")
PASSPHRASES_DIFFER = Text("两次输入不一样", "the two are not the same")
CREATED = Text(
    "已建立 {community} 的证书机构：{folder}\n根证书指纹（SHA-256）：{fingerprint}\n有效到 {until}",
    "made the authority of {community}: {folder}\nfingerprint of the root's certificate (SHA-256): {fingerprint}\n"
    "good until {until}",
)
MOVE_ROOT_KEY = Text(
    "请把 {path} 复制到两个 U 盘，分开锁好，再从本机删除；口令写在纸上，放在别处。平时用不到它，两年后续期才用：\n"
    "doorbell-relay authority renew-issuing --root-key 文件",
    "Now copy {path} to two USB sticks, lock them up in two places, and delete it here; write the passphrase on paper "
    "and keep that elsewhere. Nothing daily needs it, only the renewal in two years:\n"
    "doorbell-relay authority renew-issuing --root-key FILE",
)
ISSUED = Text(
    "已签发 {name}，有效到 {until}：{folder}（内有密钥，不要经聊天软件或邮件发送）",
    "issued {name}, good until {until}: {folder} (there is a key in it: not for chats or mail)",
)
SIGNED = Text("已为 {name} 签发证书，有效到 {until}：{path}", "signed for {name}, good until {until}: {path}")
RENEWED_ISSUING = Text(
    "从现在起用第 {number} 把签发密钥，有效到 {until}。消息代理要换上新的吊销列表。",
    "issuing authority {number} signs from now on, good until {until}. The broker needs the new list of revoked ones.",
)
TAKEN_BACK = Text(
    "已吊销 {name}（{why}），它的 {count} 张证书已列入 {path}。",
    "took {name} back ({why}): its certificates ({count}) are in {path}.",
)
NOT_YET_AT_BROKER = Text(
    "消息代理读到新列表之前，它仍能进来：doorbell-relay broker config，再 doorbell-relay broker reload",
    "Until the broker has read the new list, it is still let in: doorbell-relay broker config, then broker reload",
)
ISSUING_ENDS = Text(
    "签发密钥 {until} 到期，新证书也只到那天；请续期：doorbell-relay authority renew-issuing",
    "the issuing authority ends on {until}, new certificates with it: doorbell-relay authority renew-issuing",
)
SHOW_ROOT = Text("根证书", "root")
SHOW_ROOT_KEY = Text("根密钥", "root's key")
KEY_HERE = Text("在本机 {path}：请移走锁好", "on this machine, {path}: take it away and lock it up")
KEY_AWAY = Text("不在本机", "not on this machine")
SHOW_ISSUING = Text("第 {number} 个签发证书", "issuing authority {number}")
UNTIL_DATE = Text("有效到 {until}", "good until {until}")
COL_NAME = Text("名字", "name")
COL_PURPOSE = Text("用途", "for")
COL_SINCE = Text("签发", "issued")
COL_UNTIL = Text("到期", "until")
COL_ASKED = Text("请求于", "asked")
COL_ANSWER = Text("结果", "result")
NO_RENEWALS = Text("没有续期请求。", "No device has asked for a renewal.")
SIGNED_WAITING = Text("已签 {signed} 张，拒绝 {refused} 个请求。", "Signed {signed}, refused {refused}.")
RENEWAL_STATES = {
    Renewal.WAITING: Text("等待签发", "waits to be signed"),
    Renewal.SIGNED: Text("已签，中继即将下发", "signed, the relay will tell it"),
    Renewal.REFUSED: Text("已拒绝", "refused"),
    Renewal.TOLD: Text("已下发，设备还没有换", "told, the device has not taken it yet"),
    Renewal.TAKEN: Text("设备已换上", "the device has taken it"),
}
COL_STATE = Text("状态", "state")
COL_CERTIFICATES = Text("证书", "certificates")
COL_NUMBER = Text("身份号", "number")
STANDS = Text("有效", "good")
ENDS_SOON = Text("还有 {days} 天到期", "ends in {days} days")
ENDED = Text("已过期", "ended")
REVOKED = Text("已吊销：{why}，{at}", "taken back: {why}, {at}")
NOBODY = Text("还没有签发过身份", "no identity was issued yet")

PURPOSES: dict[Purpose, Text] = {
    Purpose.DEVICE: Text("设备", "device"),
    Purpose.RELAY: Text("中继", "relay"),
    Purpose.BROKER: Text("消息代理", "broker"),
}
WHYS: dict[Why, Text] = {
    Why.LOST: Text("丢失", "lost"),
    Why.STOLEN: Text("被盗", "stolen"),
    Why.BROKEN: Text("损坏", "broken"),
    Why.REPLACED: Text("已更换", "replaced"),
}

# Complaints
NO_AUTHORITY = Text(
    "{folder} 里没有证书机构；建立一个：doorbell-relay authority create，或用 --folder 写明在哪里",
    "there is no authority in {folder}; make one: doorbell-relay authority create, or say where it is: --folder",
)
AUTHORITY_EXISTS = Text(
    "{folder} 已存在，没有改动。建立新的证书机构等于所有设备都要重做；确实需要时请换一个文件夹",
    "{folder} exists: nothing was changed. A new authority means a new identity for every device; if that is what you "
    "want, name another folder",
)
NO_FILE = Text("缺少文件 {path}；请从备份恢复", "the file {path} is missing: restore it from a back-up")
CANNOT_READ = Text(
    "不能读 {path}：{reason}；请用中继所用的用户运行", "cannot read {path}: {reason}; run this as the user of the relay"
)
CANNOT_WRITE = Text("不能写入 {path}：{reason}", "cannot write {path}: {reason}")
BAD_FILE = Text(
    "{path} 不能用（{reason}）；请从备份恢复", "{path} cannot be used ({reason}): restore it from a back-up"
)
OTHER_KEY = Text("{path} 不是这个证书机构的密钥", "{path} is not the key of this authority")
NO_ROOT_KEY = Text(
    "没有根密钥 {path}；插上存有它的 U 盘，用 --root-key 写明",
    "there is no root's key in {path}; put in the stick that has it, and name it: --root-key",
)
ROOT_PASSPHRASE = Text(
    "口令不对：打不开根密钥 {path}", "the passphrase is wrong: it does not open the root's key {path}"
)
ISSUING_PASSPHRASE = Text(
    "打不开签发密钥 {path}：设置文件 [authority] 的 passphrase_file 没有写或不对",
    "the issuing key {path} cannot be opened: the settings' [authority] passphrase_file is missing or wrong",
)
SHORT_PASSPHRASE = Text(
    "口令太短：至少 {limit} 个字符，可以用几个互不相关的词",
    "the passphrase is too short: at least {limit} characters; a few unrelated words are good",
)
NO_TERMINAL = Text(
    "这里没有终端可以输入口令；请用 --root-passphrase-file",
    "there is no terminal to type a passphrase at; use --root-passphrase-file",
)
BAD_COMMUNITY = Text(
    "名称要有 1 到 {limit} 个字，不能有控制字符",
    "the name needs 1 to {limit} characters, none of them a control character",
)
BAD_NAMES: dict[Purpose, Text] = {
    Purpose.DEVICE: Text(
        "{name} 不能作设备编号：只能有小写英文字母、数字和 -，最多 63 个，不能以 relay- 开头",
        "{name} is no device id: lower-case letters, digits and '-', at most 63, and not relay-…",
    ),
    Purpose.RELAY: Text(
        "{name} 不能作中继的名字：只能有小写英文字母、数字和 -，最多 57 个",
        "{name} is no name for a relay: lower-case letters, digits and '-', at most 57",
    ),
    Purpose.BROKER: Text(
        "{name} 不能作消息代理的名字：只能有小写英文字母、数字和 -，最多 57 个",
        "{name} is no name for a broker: lower-case letters, digits and '-', at most 57",
    ),
}
NO_HOST = Text(
    "请用 --host 写明设备连接消息代理用的主机名或地址", "say by which name or address devices reach the broker: --host"
)
BAD_HOST = Text("{host} 不是主机名，也不是地址", "{host} is neither a host name nor an address")
HAS_IDENTITY = Text(
    "{name} 已有身份，有效到 {until}。旧的已丢失、损坏或更换时，加 --replace 原因：旧的随即吊销",
    "{name} has an identity, good until {until}. If that was lost, is broken or was replaced: "
    "--replace REASON takes it back",
)
NOTHING_TO_RENEW = Text(
    "{name} 没有可以续期的身份；去掉 --renew 则签发新的",
    "{name} has no identity that could be renewed; without --renew it gets a new one",
)
OTHER_NAME = Text(
    "证书请求写的是 {name}，不是来问的 {device}",
    "the request is for {name}, and not for {device}, who asks",
)
TOO_OFTEN = Text(
    "{name} 七天里已经换了 {count} 张证书；看看那台设备",
    "{name} has had {count} new certificates in seven days; look at that device",
)
UNKNOWN_IDENTITY = Text(
    "没有签发过 {name}；doorbell-relay authority show 列出全部",
    "{name} was never issued; doorbell-relay authority show lists all",
)
NOTHING_TO_REVOKE = Text(
    "{name} 没有有效的身份：都已吊销或过期", "{name} has no identity that stands: each was taken back or has ended"
)
BAD_REQUEST = Text(
    "证书请求不能用（{reason}）；要 EC P-256 密钥，PEM 格式",
    "the request cannot be used ({reason}); it must be PEM, for an EC P-256 key",
)
SIGNS_NO_BROKER = Text(
    "消息代理的证书用 doorbell-relay authority issue broker 签发",
    "a broker's certificate is made by doorbell-relay authority issue broker",
)
CLOCK_BEHIND = Text(
    "本机时钟（{now}）早于证书机构建立的时间；请先校时",
    "this machine's clock ({now}) is before the authority was made: set it first",
)
ISSUING_ENDED = Text(
    "签发密钥 {until} 已到期；请续期：doorbell-relay authority renew-issuing",
    "the issuing authority has ended on {until}; renew it: doorbell-relay authority renew-issuing",
)
ROOT_ENDED = Text(
    "根证书 {until} 已到期；要建立新的证书机构", "the root has ended on {until}: a new authority must be made"
)
FOLDER_EXISTS = Text("{path} 已存在，没有签发；换个名字", "{path} exists: nothing was issued. Name another folder")
NOT_DELIVERED = Text(
    "{name} 已登记，但不能写入 {path}（{reason}）；改好后重新签发，加 --replace broken",
    "{name} is registered, but {path} cannot be written ({reason}); repair that, issue again with --replace broken",
)
