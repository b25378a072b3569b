"""What the pages say."""

from __future__ import annotations

from relay.figures import Whose
from relay.texts.language import Text

# Every page
TITLE = Text("爱心门铃", "Love Doorbell")
SKIP = Text("跳到正文", "Skip to the content")
MENU = Text("菜单", "Menu")
HOUSEHOLDS = Text("住户", "Households")
DEVICES = Text("设备", "Devices")
ACCOUNTS = Text("账号", "Accounts")
AUDIT = Text("操作记录", "Audit log")
MY_ACCOUNT = Text("我的账号", "My account")
SIGN_OUT = Text("退出", "Sign out")
SIGNED_IN_AS = Text("{name}，您好", "Hello, {name}")
MORE = Text("更多", "More")
EARLIER = Text("更早的", "Earlier")
BACK = Text("返回", "Back")

# Signing in
SIGN_IN = Text("登录", "Sign in")
LOGIN = Text("登录名", "Login")
PASSWORD = Text("密码", "Password")
FORGOTTEN = Text(
    "忘记密码？请社区办公室给您发一个链接。", "Forgotten your password? Ask the community office to send you a link."
)
WITH_PROVIDER = Text("用 {name} 登录", "Sign in with {name}")
PROVIDER_REFUSED = Text(
    "没有登录成功，请再试一次，或请办公室帮忙。", "That did not work. Try again, or ask the office."
)
WRONG = Text("登录名或密码不对。", "The login or the password is not right.")
TOO_OFTEN = Text("试得太多了，请 {wait_s} 秒后再试。", "Too many tries: wait {wait_s} seconds, then try again.")
TOO_OFTEN_SHORT = Text("试得太多了，请过一会儿再试。", "Too many tries: wait a while, then try again.")
BUSY = Text("现在很忙，请过一会儿再试。", "Very busy at the moment: try again in a while.")

# Personal links
LINK_SIGN_IN = Text("用这个链接登录", "Sign in by this link")
LINK_SET_PASSWORD = Text("设置您的密码", "Set your password")
LINK_ONCE = Text("这个链接只能用一次。", "This link is good once.")
LINK_DEAD = Text(
    "这个链接已经用过、过期，或不完整。请社区办公室再发一个。",
    "This link was used, has ended, or is not whole. Ask the community office for another.",
)
NEW_PASSWORD = Text("新密码（至少 12 个字符）", "New password (12 characters at least)")
AGAIN = Text("再输入一次", "Once more")
SET = Text("设置", "Set")
NOT_THE_SAME = Text("两次输入的不一样。", "The two are not the same.")
PASSWORD_HINT = Text("四五个互不相干的词连在一起就很好。", "Four or five unrelated words in a row do well.")

# My account
CHANGE_PASSWORD = Text("修改密码", "Change the password")
OLD_PASSWORD = Text("现在的密码", "Present password")
WRONG_OLD = Text("现在的密码不对。", "The present password is not right.")
MY_SESSIONS = Text("您在这些地方登录着", "You are signed in here")
THIS_ONE = Text("本机", "this one")
SINCE = Text("登录时间", "since")
LAST_USED = Text("最近使用", "last used")
ADDRESS = Text("地址", "address")
END_ONE = Text("退出它", "Sign it out")
END_OTHERS = Text("退出其他所有地方", "Sign out everywhere else")
MY_ROLES = Text("您的角色", "Your roles")
NO_ROLES = Text("您还没有角色，请联系社区办公室。", "You have no role yet: ask the community office.")

# Households
NO_HOUSEHOLDS = Text("没有您能看的住户。", "There is no household that you may see.")
HOUSEHOLD = Text("住户", "Household")
PLACE = Text("地址", "Place")
COMMUNITY = Text("小区", "Community")
VOLUNTEERS = Text("志愿者（按呼叫顺序）", "Volunteers, in the order in which they are called")
PHONE = Text("电话", "Phone")
ITS_DEVICES = Text("设备", "Devices")
LOOK_RECORDED = Text("查看已记入操作记录。", "This look was written into the audit log.")

# Devices
DEVICE = Text("设备", "Device")
ROLE = Text("种类", "Role")
PANEL = Text("面板", "panel")
BELL = Text("门铃", "bell")
WHERE = Text("在哪里", "Where")
STATE = Text("状态", "State")
ONLINE = Text("在线，自 {at}", "online since {at}")
OFFLINE = Text("离线，自 {at}", "offline since {at}")
NEVER_HEARD = Text("还没有消息", "not heard yet")
HOW_FAR = Text("安装到了哪一步", "Installation")
NEXT_STEP = Text("下一步", "Next")
NOT_YET = Text("还没有", "not yet")
CERTIFICATE_ENDS = Text(
    "{whose}的证书还有 {days} 天到期，到期后按铃听不到：请通知管理中继的人。",
    "{whose} has a certificate that ends in {days} days; then no press is heard: tell whoever runs the relay.",
)
CERTIFICATE_ENDED = Text(
    "{whose}的证书已经到期，按铃听不到：请立即通知管理中继的人。",
    "{whose} has a certificate that has ended, and no press is heard: tell whoever runs the relay now.",
)
CERTIFICATES_OF: dict[Whose, Text] = {
    Whose.RELAY: Text("中继", "The relay"),
    Whose.ISSUING: Text("中继的签发机构", "The relay's issuing authority"),
    Whose.AUTHORITY: Text("社区证书机构", "The community's authority"),
    Whose.BROKER: Text("消息代理", "The broker"),
    Whose.BROKER_ISSUING: Text("消息代理的签发机构", "The broker's issuing authority"),
    Whose.SIGNING: Text("本机的签发机构", "The issuing authority of this machine"),
}
NO_DEVICES = Text("还没有设备。", "There are no devices yet.")
ID = Text("编号", "Id")

# Accounts
NAME = Text("姓名", "Name")
PERSON = Text("登记表里的人员编号（志愿者、联盟成员）", "Person of the register (volunteers, alliance members)")
ROLES = Text("角色", "Roles")
ADD_ACCOUNT = Text("新建账号", "Add an account")
ADD = Text("新建", "Add")
GIVE_ROLE = Text("授予角色", "Give a role")
GIVE = Text("授予", "Give")
TAKE_BACK = Text("收回", "Take back")
LOCK = Text("停用", "Lock")
UNLOCK = Text("恢复", "Unlock")
LOCKED = Text("已停用", "locked")
OPEN = Text("可用", "open")
MAKE_LINK = Text("个人链接", "Personal link")
MAKE_SIGN_IN_LINK = Text("生成登录链接（24 小时）", "Make a link to sign in (24 hours)")
MAKE_PASSWORD_LINK = Text("生成设置密码的链接（72 小时）", "Make a link to set a password (72 hours)")
LINK_SHOWN_ONCE = Text("只显示这一次，请只发给本人：", "It is shown this once; give it to this person alone:")
END_SESSIONS = Text("退出其所有登录", "Sign this account out everywhere")
SIGNED_IN_COUNT = Text("登录着 {count} 处", "signed in at {count} place(s)")
ALL_COMMUNITIES = Text("所有小区", "all communities")
NO_ACCOUNTS = Text("还没有您能管理的账号。", "There is no account yet that you may manage.")

# Audit log
NUMBER = Text("编号", "No")
WHEN = Text("时间", "Time")
WHO = Text("谁", "Who")
WHAT = Text("做了什么", "What")
ABOUT = Text("对象", "About")
DETAIL = Text("细节", "Detail")
SEARCH = Text("查找", "Search")
ANYTHING = Text("任何操作", "anything")
HOUSEHOLD_ID = Text("住户编号", "Household's id")
ACCOUNT_ID = Text("账号编号", "Account's id")
NO_LINES = Text("没有这样的记录。", "There are no such lines.")

# What went wrong
NOT_FOUND = Text("没有这个页面，或者您不能看它。", "There is no such page, or it is not for you.")
BAD_FORM = Text("这样提交不行，请返回再试。", "That could not be taken: go back and try again.")
NO_STORE = Text("数据库暂时不能用，请过一会儿再试。", "The database is out of reach: try again in a while.")
