#!/usr/bin/env bash
# Makes a Debian 12 or 13 the relay's machine, or brings it to this release. docs/install-relay.md has the whole way.
# 把 Debian 12 或 13 的机器装成中继，或升级到本版本。全过程见 docs/install-relay.md。
#
#   sudo tools/install-relay.sh               装好，或升级  install, or upgrade
#   sudo tools/install-relay.sh --back        退回上一版本  go back to the release before
#   sudo tools/install-relay.sh --uninstall   卸下程序，数据和设置留下  remove the program; data and settings stay
#
# PYTHON=python3.12 chooses another interpreter. Where packages come from is pip's own setting: PIP_INDEX_URL, /etc/pip.conf.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

home=/opt/love-doorbell
units=/usr/local/lib/systemd/system
settings=/etc/love-doorbell/relay.toml
state=/var/lib/love-doorbell
broker=$units/mosquitto.service.d/50-love-doorbell.conf
link=/usr/local/bin/doorbell-relay
account=love-doorbell
python=${PYTHON:-python3}
services=(doorbell-relay.service doorbell-web.service)
timers=(doorbell-relay-backup.timer doorbell-relay-retain.timer doorbell-relay-verify.timer doorbell-relay-renew.timer)

say() { printf 'install-relay: %s  %s\n' "$1" "$2"; }
die() { printf 'install-relay: %s\ninstall-relay: %s\n' "$1" "$2" >&2; exit 1; }
as_relay() { (cd / && exec runuser -u "$account" -- "$@"); }
runs_systemd() { [ -d /run/systemd/system ]; }
state_of() { if runs_systemd; then systemctl show --property=ActiveState --value "$1"; else echo inactive; fi; }
release_of() { readlink "$home/$1" 2>/dev/null || true; }

digest() { # what makes two installations the same: the sources, what they need, and the Python under them
  {
    "$python" -VV
    find doorbell device relay sim systemd config requirements-relay.lock pyproject.toml tools/install-relay.sh -type f \
      -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-12
}

prepare_system() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || tools/apt.sh python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || die "需要 Python 3.11 或更新的 $python：请用 Debian 12 或 13，或写明另一个：PYTHON=python3.12" \
      "needs Python 3.11 or newer as '$python': take Debian 12 or 13, or name another one: PYTHON=python3.12"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || tools/apt.sh python3-venv ca-certificates
}

build() { # a whole environment of its own: what runs is not touched
  release=$1
  source=$(mktemp -d)
  trap 'rm -rf "$release" "$source"' EXIT # whatever goes wrong, or whoever interrupts: nothing half is left
  rm -rf "$release"
  say "安装程序到 $release" "installing into $release"
  "$python" -m venv "$release"
  local pip=("$release/bin/python" -m pip --quiet --no-input --disable-pip-version-check install)
  "${pip[@]}" --require-hashes --only-binary :all: -r requirements-relay.lock \
    || die "依赖包没有装上（原因见上）：检查网络，或设置 PIP_INDEX_URL。机器没有改动。" \
      "the packages could not be installed (the reason is above): look at the network, or set PIP_INDEX_URL. Nothing was changed."
  cp -r doorbell device relay sim pyproject.toml README.md LICENSE "$source"
  find "$source" -name __pycache__ -type d -prune -exec rm -rf {} +
  "${pip[@]}" --no-index --no-deps --no-build-isolation "$source"
  cp -r systemd config "$release"
  "$release/bin/doorbell-relay" --version >/dev/null
  touch "$release/complete"
  sync -f "$release/complete" # what becomes current is on the disk, whatever happens to the power
  rm -rf "$source"
  trap - EXIT
}

accepts() { as_relay "$home/$1/bin/doorbell-relay" run --check --config "$settings"; }

copy_files() { # of a release: its units, the account, the rules for files
  local from=$home/$1/systemd unit
  install -d "$units" /usr/local/lib/sysusers.d /usr/local/lib/tmpfiles.d
  for unit in "${services[@]}" "${timers[@]}" "${timers[@]/%timer/service}"; do
    install -m 644 "$from/$unit" "$units/$unit"
  done
  install -D -m 644 "$from/mosquitto.conf" "$broker"
  install -m 644 "$from/love-doorbell.sysusers" /usr/local/lib/sysusers.d/love-doorbell.conf
  install -m 644 "$from/love-doorbell.tmpfiles" /usr/local/lib/tmpfiles.d/love-doorbell.conf
}

make_account() {
  systemd-sysusers /usr/local/lib/sysusers.d/love-doorbell.conf
  systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/love-doorbell.conf
}

point() { # $1 becomes what $2 is, at once
  ln -sfn "$2" "$home/$1.new"
  mv -T "$home/$1.new" "$home/$1"
}

note_running() {
  local unit
  running=() troubled=()
  for unit in "${services[@]}"; do
    case $(state_of "$unit") in
      active | reloading) running+=("$unit") ;;
      inactive) ;;
      *) troubled+=("$unit") ;;
    esac
  done
}

activate() { # a release becomes the one that runs; started=no if a service that ran before does not run with it
  local unit
  started=yes
  copy_files "$1"
  make_account
  point current "$1"
  ln -sfn "$home/current/bin/doorbell-relay" "$link"
  if runs_systemd; then systemctl daemon-reload; fi
  for unit in ${running[@]+"${running[@]}"}; do systemctl restart "$unit" || started=no; done
  for unit in ${troubled[@]+"${troubled[@]}"}; do
    systemctl restart "$unit" || say "$unit 同以前一样没有运行" "$unit does not run, as before"
  done
}

make_settings() {
  if [ ! -e "$settings" ]; then
    install -m 640 -g "$account" config/station.example.toml "$settings"
    say "写好了设置 $settings" "wrote the settings $settings"
  fi
  if [ ! -e /etc/love-doorbell/privacy.key ] && [ ! -e "$state/relay.sqlite3" ] && ! grep -q key_file "$settings"; then
    "$link" privacy key create --config "$settings"
  fi
  make_account
}

upgrade_or_install() {
  prepare_system
  local version new old kept
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
  new=releases/$version-$(digest)
  old=$(release_of current)
  [ -e "$home/$new/complete" ] || build "$home/$new"
  if [ "$new" = "$old" ]; then
    copy_files "$new"
    make_account
    if runs_systemd; then systemctl daemon-reload; fi
    make_settings
    say "已经是这个版本：$new" "this release is installed already: $new"
    return
  fi
  if [ -n "$old" ] && [ -e "$settings" ]; then
    if ! accepts "$new" >/dev/null 2>&1 && accepts "$old" >/dev/null 2>&1; then
      accepts "$new" || true
      die "新版本不接受现在的设置（见上）。什么也没有改，原来的继续运行。" \
        "the new release does not accept the present settings (see above). Nothing was changed, the old one runs on."
    fi
    if [ -e "$state/relay.sqlite3" ] || [ "$(state_of doorbell-relay.service)" != inactive ]; then
      say "升级前备份数据库" "backing the database up before the upgrade"
      as_relay "$home/$old/bin/doorbell-relay" store backup "$state/backups" --config "$settings" || [ $? -eq 1 ] \
        || die "备份没有做成（见上）。什么也没有改，原来的继续运行。" \
          "the back-up could not be made (see above). Nothing was changed, the old release runs on."
    fi
  fi
  note_running
  activate "$new"
  if [ "$started" = no ] && [ -z "$old" ]; then
    die "没有启动：journalctl -u doorbell-relay -u doorbell-web" "it did not start: journalctl -u doorbell-relay -u doorbell-web"
  elif [ "$started" = no ]; then
    activate "$old"
    if [ "$started" = yes ]; then
      die "新版本没有启动，已退回 $old。原因：journalctl -u doorbell-relay -u doorbell-web" \
        "the new release did not start: gone back to $old. The reason: journalctl -u doorbell-relay -u doorbell-web"
    fi
    die "新版本没有启动，退回 $old 也没有启动：journalctl -u doorbell-relay。数据库若已是新版本的，停止中继后用 $state/backups 里最新的备份恢复：doorbell-relay store restore" \
      "the new release did not start, nor did $old after going back: journalctl -u doorbell-relay. If the database is the new release's already, stop the relay and put the newest copy of $state/backups back: doorbell-relay store restore"
  fi
  if [ -n "$old" ]; then point previous "$old"; fi
  make_settings
  for kept in "$home"/releases/*; do
    case releases/${kept##*/} in
      "$new" | "$old") ;;
      *) rm -rf "$kept" ;;
    esac
  done
  if [ -n "$old" ]; then
    say "已升级：$old → $new。退回：$0 --back" "upgraded: $old → $new. To go back: $0 --back"
  else
    say "装好了：$new。接下来见 docs/install-relay.md：证书、消息代理、登记表，然后" \
      "installed: $new. Next, as docs/install-relay.md tells: identities, broker, register, and then"
    printf '  systemctl enable --now %s\n' "${services[*]} ${timers[*]}"
  fi
}

go_back() {
  local old new
  old=$(release_of previous)
  new=$(release_of current)
  [ -n "$old" ] && [ -e "$home/$old/complete" ] || die "没有上一版本可以退回" "there is no release before to go back to"
  note_running
  activate "$old"
  point previous "$new"
  [ "$started" = yes ] || die "退回到 $old，但没有启动：journalctl -u doorbell-relay" "gone back to $old, but it did not start: journalctl -u doorbell-relay"
  say "已退回：$new → $old" "gone back: $new → $old"
}

uninstall() {
  local unit
  if runs_systemd; then systemctl --quiet disable --now "${services[@]}" "${timers[@]}" 2>/dev/null || true; fi
  for unit in "${services[@]}" "${timers[@]}" "${timers[@]/%timer/service}"; do rm -f "$units/$unit"; done
  rm -f "$broker" /usr/local/lib/sysusers.d/love-doorbell.conf /usr/local/lib/tmpfiles.d/love-doorbell.conf
  if [ -L "$link" ]; then rm -f "$link"; fi
  rm -rf "$home"
  if runs_systemd; then
    systemctl daemon-reload
    systemctl reset-failed 'doorbell-relay*' 'doorbell-web*' 2>/dev/null || true
  fi
  say "已卸下。设置、证书在 /etc/love-doorbell，数据、备份在 $state，账户 $account：都留着" \
    "removed. Settings and identities in /etc/love-doorbell, data and back-ups in $state, and the account $account stay"
}

case ${1-} in
  "" | --back | --uninstall) ;;
  -h | --help)
    sed -n '2,/^set /s/^# \{0,1\}//p' tools/install-relay.sh
    exit
    ;;
  *) die "不认识：$1。--help 有说明" "unknown: $1. See --help" ;;
esac
[ "$(id -u)" -eq 0 ] || die "请用管理员身份：sudo $0" "as root, please: sudo $0"
command -v systemd-sysusers >/dev/null || die "这台机器没有 systemd：请用 Debian 12 或 13" "this machine has no systemd: take Debian 12 or 13"
install -d "$home" "$home/releases"
exec 9>"$home/.lock"
flock -n 9 || die "另一个安装正在进行" "another installation is under way"
case ${1-} in
  "") upgrade_or_install ;;
  --back) go_back ;;
  --uninstall) uninstall ;;
esac
