#!/bin/sh
# Removes k3py from this machine: its processes, containers, networks, mounts and files.
# The distribution's packages (podman and so on) stay.
set -u

kill_containers() {
    # Podman and its monitors name this folder; the containers are in cgroups called k3py.
    for process in /proc/[0-9]*; do
        # Processes come and go meanwhile.
        if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null |
            grep -q /var/lib/k3py/agent/containers; then
            kill -9 "${process#/proc/}" 2>/dev/null
        fi
    done
    for folder in $(cgroups); do
        find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -9 2>/dev/null
    done
}

cgroups() { ls -d /sys/fs/cgroup/k3py /sys/fs/cgroup/*/k3py 2>/dev/null; }

unmount_all() {
    # Deepest first.
    awk '$2 ~ "^/(run|var/lib)/k3py/" { print $2 }' /proc/mounts | sort -r | while read -r place; do
        umount -l "$place" 2>/dev/null # some names are there twice
    done
}

remove_networks() {
    for link in /sys/class/net/*; do
        name=${link##*/}
        case $name in
            flannel.1) ip link delete "$name" ;;
            pod????????????) ip link delete "$name" ;;
        esac
    done
    # The cluster's DNS server listens on an address of the loopback.
    ip -4 address flush dev lo label lo:k3py 2>/dev/null
    nft list tables 2>/dev/null | while read -r _ family name; do
        case $name in
            k3py-*) nft delete table "$family" "$name" ;;
        esac
    done
}

main() {
    if [ "$(id -u)" != 0 ]; then
        echo "run it as root: sudo $0" >&2
        exit 1
    fi
    for lab in /var/lib/k3py-lab/*/; do
        [ ! -d "$lab" ] || /usr/local/bin/k3py lab down --name "$(basename "$lab")"
    done
    if [ -f /etc/systemd/system/k3py.service ]; then
        systemctl disable --now --quiet k3py
        rm -f /etc/systemd/system/k3py.service
        systemctl daemon-reload
        systemctl reset-failed k3py 2>/dev/null
    fi
    /usr/local/bin/k3py stop --containers >/dev/null 2>&1
    kill_containers
    unmount_all
    remove_networks
    for folder in $(cgroups); do
        find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    rm -rf /run/k3py /var/lib/k3py /etc/k3py /usr/local/lib/k3py
    rm -rf /var/log/k3py.log /var/log/k3py.log.1 /var/log/pods
    rm -f /usr/local/bin/k3py /usr/local/bin/k3py-uninstall.sh
    echo "k3py is gone. Packages that it needed stay installed."
}

main "$@"
