"""The words of findings about everything beyond the device: network, broker, certificates, relay, pair."""

from __future__ import annotations

from device.doctor.words_parts import Words

_RENEW = ("请社区办公室签发新证书，放到 {file}", "have the office issue a new certificate and put it at {file}")

LINE: dict[str, Words] = {
    # --- network
    "network.no_route": (
        "没有连上网络",
        "there is no network",
        "检查网线，或 Wi-Fi 的名称和密码（nmtui）；路由器开着吗？",
        "check the cable, or name and password of the Wi-Fi (nmtui); is the router on?",
    ),
    "network.resolved": ("{host} 的地址是 {addresses}", "{host} is at {addresses}", "", ""),
    "network.unresolved": (
        "找不到 {host} 的地址：{reason}",
        "the name {host} cannot be resolved: {reason}",
        "检查设置文件 mqtt.host 有没有写错；网络通吗？DNS 看 /etc/resolv.conf",
        "check the spelling of mqtt.host in the settings file; is the network up? DNS is in /etc/resolv.conf",
    ),
    "network.wifi": ("Wi-Fi 信号 {dbm} dBm", "Wi-Fi at {dbm} dBm", "", ""),
    "network.wifi_weak": (
        "Wi-Fi 信号弱：{dbm} dBm",
        "the Wi-Fi is weak: {dbm} dBm",
        "移近路由器，或改用网线；-70 以上才可靠",
        "move it closer to the router, or use a cable; above -70 is dependable",
    ),
    # --- broker
    "broker.reachable": ("{where} 连得上", "{where} can be reached", "", ""),
    "broker.refused": (
        "{where} 没有程序在听",
        "nothing listens at {where}",
        "检查设置文件的 mqtt.host 和 mqtt.port；对就是消息代理没有运行，告诉社区办公室",
        "check mqtt.host and mqtt.port in the settings file; if they are right the broker is down: tell the office",
    ),
    "broker.timeout": (
        "{where} 在 {within_s} 秒内没有回答",
        "{where} did not answer within {within_s} s",
        "检查路由器和防火墙是否放行 TCP {port}；服务器开着吗？",
        "see whether router and firewalls let TCP {port} through; is the server on?",
    ),
    "broker.unreachable": (
        "{where} 连不上：{reason}",
        "{where} cannot be reached: {reason}",
        "检查网线、Wi-Fi 和路由器",
        "check cable, Wi-Fi and router",
    ),
    "broker.link_up": ("与消息代理连着", "the link to the broker is up", "", ""),
    "broker.link_down": (
        "与消息代理断开了",
        "the link to the broker is down",
        "运行 doorbell-device doctor，看是网络、证书还是消息代理",
        "run doorbell-device doctor: it tells whether network, certificate or broker is to blame",
    ),
    "broker.accepted": (
        "消息代理接受了 {device}，订阅成功",
        "the broker accepted {device} and granted its subscription",
        "",
        "",
    ),
    "broker.rejected": (
        "消息代理不接受 {device}：{reason}",
        "the broker does not accept {device}: {reason}",
        "看证书一项；用户名和密码对吗？设备登记了吗？请社区办公室看消息代理的日志",
        "see the certificates; are user name and password right? Is the device registered? The office has the log",
    ),
    "broker.not_asked": (
        "没有问消息代理",
        "the broker was not asked",
        "先修好上面的问题",
        "repair what is above first",
    ),
    # --- certificates
    "certificate.no_tls": (
        "没有加密：设置文件里没有 mqtt.tls",
        "no encryption: there is no mqtt.tls in the settings file",
        "只能用于试验；装到家里之前请社区办公室签发证书",
        "for trials only; have the office issue certificates before this goes into a home",
    ),
    "certificate.accepted": (
        "消息代理的证书（{subject}）有效，还有 {days} 天",
        "the broker's certificate ({subject}) is valid for {days} more days",
        "",
        "",
    ),
    "certificate.broker_soon": (
        "消息代理的证书（{subject}）还有 {days} 天到期",
        "the broker's certificate ({subject}) expires in {days} days",
        "告诉社区办公室换证书",
        "tell the office to renew it",
    ),
    "certificate.broker_expired": (
        "消息代理的证书（{subject}）{days} 天前到期了",
        "the broker's certificate ({subject}) expired {days} days ago",
        "先看时钟对不对；对就告诉社区办公室换证书",
        "see first whether this clock is right; if it is, tell the office to renew it",
    ),
    "certificate.broker_not_yet": (
        "消息代理的证书（{subject}）还要 {days} 天才生效",
        "the broker's certificate ({subject}) is not valid for another {days} days",
        "多半是这里的时钟慢了：看时钟一项",
        "most likely this clock is behind: see the finding on the clock",
    ),
    "certificate.broker_foreign": (
        "消息代理的证书（{subject}）是 {issuer} 签的，不是我们信任的 {ca}",
        "the broker's certificate ({subject}) was issued by {issuer}, not by {ca}, which we trust",
        "连到了别人的服务器，或 tls.ca 是旧的：检查 mqtt.host，请社区办公室给现在的 ca.pem",
        "another server answers, or tls.ca is old: check mqtt.host, and have the office give you the present ca.pem",
    ),
    "certificate.broker_name": (
        "消息代理的证书写的是 {names}，不是 {host}",
        "the broker's certificate is for {names}, not for {host}",
        "把 mqtt.host 改成证书里的名字，或在 mqtt.tls 里写 server_name",
        "set mqtt.host to a name of the certificate, or server_name in mqtt.tls",
    ),
    "certificate.broker_bad": (
        "消息代理的证书（{subject}）不被接受：{reason}",
        "the broker's certificate ({subject}) is not accepted: {reason}",
        "告诉社区办公室换证书",
        "tell the office to renew it",
    ),
    "certificate.not_tls": (
        "{where} 不会 TLS：{reason}",
        "{where} does not speak TLS: {reason}",
        "检查 mqtt.port：加密的端口多半是 8883",
        "check mqtt.port: the encrypted port is usually 8883",
    ),
    "certificate.own_refused": (
        "{where} 不接受我们的证书：{reason}",
        "{where} does not accept our certificate: {reason}",
        "看自己的证书是不是到期了、是不是社区办公室签的；都好就请他们看消息代理的日志",
        "see whether ours has expired or is not the office's; if it is well, have them read the broker's log",
    ),
    "certificate.unusable": (
        "证书文件用不了：{reason}",
        "the certificate files cannot be used: {reason}",
        "从社区办公室给的文件里重新拷贝 ca、certificate 和 key，三个要配套",
        "copy ca, certificate and key again from what the office gave you; the three belong together",
    ),
    "certificate.own_none": (
        "没有自己的证书，只靠用户名和密码",
        "no certificate of our own, user name and password only",
        "",
        "",
    ),
    "certificate.own_good": (
        "自己的证书（{subject}）有效，还有 {days} 天，与密钥相符",
        "our certificate ({subject}) fits its key and is valid for {days} more days",
        "",
        "",
    ),
    "certificate.own_soon": (
        "自己的证书还有 {days} 天到期",
        "our certificate expires in {days} days",
        *_RENEW,
    ),
    "certificate.own_expired": (
        "自己的证书 {days} 天前到期了",
        "our certificate expired {days} days ago",
        *_RENEW,
    ),
    "certificate.own_not_yet": (
        "自己的证书还要 {days} 天才生效",
        "our certificate is not valid for another {days} days",
        "多半是这里的时钟慢了：看时钟一项",
        "most likely this clock is behind: see the finding on the clock",
    ),
    "certificate.own_foreign": (
        "自己的证书是 {issuer} 签的，不是 {ca}",
        "our certificate was issued by {issuer}, not by {ca}",
        "消息代理多半不接受：请社区办公室重新签发",
        "the broker will most likely refuse it: have the office issue another",
    ),
    "certificate.own_name": (
        "自己的证书写的是 {subject}，设备却叫 {device}",
        "our certificate is for {subject}, but this device is {device}",
        "拿错了证书，或设置文件里的 device 写错了",
        "the wrong certificate, or a wrong device in the settings file",
    ),
    # --- relay
    "relay.desired": (
        "中继的目标状态收到了（版本 {rev}）",
        "the relay's desired state is here (rev {rev})",
        "",
        "",
    ),
    "relay.no_desired": (
        "没有收到中继的目标状态",
        "no desired state of the relay came",
        "设备在登记表里吗？编号和社区要一样；中继在运行吗？",
        "is the device in the register, with the same id and community? Does the relay run?",
    ),
    "relay.receipted": (
        "中继收到了测试事件并给了回执，用了 {waited_ms} 毫秒",
        "the relay has stored a test event and receipted it within {waited_ms} ms",
        "",
        "",
    ),
    "relay.no_receipt": (
        "中继在 {within_s} 秒内没有给回执",
        "no receipt of the relay within {within_s} s",
        "中继没有运行，或不认识这台设备：告诉社区办公室。按铃会留在磁盘上，直到中继收下",
        "the relay is down, or does not know this device: tell the office. Presses stay on disk until it takes them",
    ),
    "relay.busy": (
        "设备正忙（{stage}），没有问中继",
        "the device is busy ({stage}), so the relay was not asked",
        "等警报结束再来",
        "come back when the alarm is over",
    ),
    "relay.not_asked": ("没有问中继", "the relay was not asked", "先修好上面的问题", "repair what is above first"),
    # --- pair
    "pair.known": ("结对的设备：{peers}", "paired with {peers}", "", ""),
    "pair.none": (
        "没有结对：中继不知道按铃该叫谁",
        "no pair: the relay has nobody for this device",
        "请社区办公室在登记表里写上结对",
        "have the office enter the pair in the register",
    ),
    "pair.unknown": (
        "还不知道与谁结对：没有收到过中继的目标状态",
        "the pair is not known yet: nothing has come from the relay since the start",
        "看中继一项",
        "see the finding on the relay",
    ),
    "pair.covered": ("现在按铃有人听见", "a press made now would be heard", "", ""),
    "pair.thin": (
        "现在按铃只有一处听见",
        "a press made now would be heard in one place only",
        "看结对的门铃是不是都通着电、连着网",
        "see whether every paired bell has power and network",
    ),
    "pair.uncovered": (
        "现在按铃没有人听见",
        "a press made now would be heard by nobody",
        "给结对的门铃通电、连网；志愿者都外出了就告诉社区办公室",
        "give the paired bells power and network; if all volunteers are away tell the office",
    ),
    "pair.online": ("{peer} 在线", "{peer} is online", "", ""),
    "pair.offline": (
        "{peer} 不在线",
        "{peer} is offline",
        "去看那一台：通电、连网了吗？在那里运行 doctor",
        "go and see that one: does it have power and network? Run doctor there",
    ),
    "pair.unreadable": (
        "消息代理不让看 {peers} 在不在线，以中继的说法为准",
        "the broker does not show whether {peers} are online; the relay's word counts",
        "",
        "",
    ),
    "pair.not_asked": ("没有问结对", "the pair was not asked about", "先修好上面的问题", "repair what is above first"),
}
