#!/bin/sh
# Installs k3py from this checkout and starts it: a server, or an agent of another server.
#
#   sudo ./install.sh
#   sudo K3PY_URL=https://192.168.1.10:6443 K3PY_TOKEN=K10... ./install.sh
#
# Running it again upgrades. k3py-uninstall.sh removes everything.
set -eu

PACKAGES="ca-certificates catatonit conmon conntrack crun iproute2 kmod netavark nftables podman
    procps python3 python3-netifaces python3-venv util-linux"
VENV=/usr/local/lib/k3py/venv
BIN=/usr/local/bin
CONFIG=/etc/k3py/config.yaml
UNIT=/etc/systemd/system/k3py.service
PYTHON=/usr/bin/python3

info() { echo "[k3py] $*"; }
fatal() { echo "[k3py] $*" >&2; exit 1; }

# All is inside a function: of a file that arrived in part, nothing runs.
main() {
    [ $# -eq 0 ] || fatal "it takes no arguments; settings go into $CONFIG (see README.md)"
    CHECKOUT=$(cd "$(dirname "$0")" && pwd)
    check_machine
    check_cgroups
    check_role
    umask 022
    install_packages
    install_program
    write_config
    start
    say_next
}

check_machine() {
    [ "$(id -u)" = 0 ] || fatal "run it as root: sudo $0"
    [ -f "$CHECKOUT/pyproject.toml" ] || fatal "run it from a checkout of k3py"
    command -v apt-get >/dev/null || fatal "this needs Debian or Raspberry Pi OS (no apt-get here)"
    . /etc/os-release
    case "${ID:-}:${VERSION_ID:-}" in
        debian:12|debian:13|raspbian:12|raspbian:13) ;;
        *) fatal "this needs Debian or Raspberry Pi OS 12 or 13, and here is ${PRETTY_NAME:-something else}" ;;
    esac
    case $(dpkg --print-architecture) in
        amd64|arm64) ;;
        armhf) grep -qs piwheels /etc/pip.conf ||
            fatal "on 32-bit ARM this needs Raspberry Pi OS (its pip has packages for it); or use a 64-bit system" ;;
        *) fatal "there is no k3py for $(dpkg --print-architecture): use amd64, arm64 or armhf" ;;
    esac
}

check_cgroups() {
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        missing=
        for name in cpu memory pids; do
            grep -qw "$name" /sys/fs/cgroup/cgroup.controllers || missing="$missing $name"
        done
    else
        missing=" memory"
        [ ! -d /sys/fs/cgroup/memory ] || missing=
    fi
    [ -n "$missing" ] || return 0
    line=/boot/firmware/cmdline.txt
    [ -f $line ] || line=/boot/cmdline.txt
    if [ -f $line ]; then
        fatal "the kernel does not count memory of containers (cgroups:$missing). Switch it on, reboot, and run this again:
    sudo sed -i 's/\$/ cgroup_enable=memory/' $line && sudo reboot"
    fi
    fatal "the kernel has no cgroup controllers:$missing. Enable them (kernel parameter cgroup_enable=memory) and reboot"
}

# The configuration decides what this machine is; K3PY_URL decides what a new configuration says.
check_role() {
    if [ -n "${K3PY_URL:-}" ]; then
        [ -n "${K3PY_TOKEN:-}" ] || [ -f "$CONFIG" ] ||
            fatal "K3PY_URL is set but K3PY_TOKEN is not; on the server: sudo cat /var/lib/k3py/server/node-token"
        case $K3PY_URL in
            https://*) ;;
            *) fatal "K3PY_URL must be like https://192.168.1.10:6443, not $K3PY_URL" ;;
        esac
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
    wanted=
    for package in $PACKAGES; do
        is_installed "$package" || wanted="$wanted $package"
    done
    [ -n "$wanted" ] || return 0
    info "installing:$wanted"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/dev/null || fatal "apt-get update failed (is there a network?)"
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $wanted >/dev/null ||
        fatal "apt-get could not install:$wanted"
}

install_program() {
    # A new release of Debian brings a new Python, for which the old environment is useless.
    if ! "$VENV/bin/python" -c '' 2>/dev/null ||
        [ "$("$VENV/bin/python" -V)" != "$($PYTHON -V)" ]; then
        # Debian's own packages are seen: netifaces is only there without a compiler.
        $PYTHON -m venv --clear --system-site-packages "$VENV" || fatal "could not make $VENV"
    fi
    # From a copy, so that the checkout stays as it is.
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    (cd "$CHECKOUT" && cp -r pyproject.toml README.md LICENSE k3py "$copy/")
    info "installing $(sed -n 's/^__version__ = "\(.*\)"/k3py \1/p' "$copy/k3py/__init__.py")"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --root-user-action=ignore \
        --only-binary :all: "$copy" || fatal "pip could not install k3py (is there a network?)"
    rm -rf "$copy"
    ln -sf "$VENV/bin/k3py" "$BIN/k3py"
    install -m 755 "$CHECKOUT/installer/k3py-uninstall.sh" "$BIN/k3py-uninstall.sh"
}

write_config() {
    if [ -f "$CONFIG" ]; then
        [ -z "${K3PY_URL:-}" ] || grep -qF "$K3PY_URL" "$CONFIG" ||
            fatal "$CONFIG is there already and does not name $K3PY_URL: change it or remove it"
        return 0
    fi
    mkdir -p "$(dirname "$CONFIG")"
    (
        umask 077
        {
            echo "# Options of k3py server or k3py agent, without the dashes: node-name, tls-san ..."
            echo "# (k3py server --help lists them). With server: this machine is an agent."
            [ -z "${K3PY_URL:-}" ] || printf 'server: "%s"\ntoken: "%s"\n' "$K3PY_URL" "$K3PY_TOKEN"
        } >"$CONFIG.new"
    )
    mv "$CONFIG.new" "$CONFIG"
}

role() { if grep -q '^server:' "$CONFIG"; then echo agent; else echo server; fi; }

start() {
    if [ -d /run/systemd/system ]; then
        sed "s/@ROLE@/$(role)/" "$CHECKOUT/installer/k3py.service" >"$UNIT"
        systemctl daemon-reload
        systemctl enable --quiet k3py
    fi
    # Containers run on while the new program takes over.
    "$BIN/k3py" stop >/dev/null
    info "starting the $(role)"
    "$BIN/k3py" start || fatal "k3py is installed but did not start; k3py status says more"
}

say_next() {
    if [ "$(role)" = agent ]; then
        info "this machine is a node of the cluster now. On the server: sudo k3py kubectl get nodes"
        return 0
    fi
    address=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
    cat <<EOF
[k3py] the cluster runs. Next:

    sudo k3py kubectl get nodes
    sudo k3py status

To add a Raspberry Pi, there, from a checkout:

    sudo K3PY_URL=https://${address:-IP}:6443 K3PY_TOKEN=$(cat /var/lib/k3py/server/node-token 2>/dev/null || echo TOKEN) ./install.sh
EOF
}

main "$@"
