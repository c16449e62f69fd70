#!/usr/bin/env bash
# root.sh DIR: makes what every node starts from: DIR/root, a small Debian with
# systemd, and DIR/nspawn, the program that boots it as a container. Needs
# mmdebstrap, apt-get and dpkg.
set -euo pipefail
dir=$1
mkdir -p "$dir"
cd "$dir"

# Unpacked and not installed, because the package would replace others.
if [ ! -x nspawn/usr/bin/systemd-nspawn ]; then
    rm -rf nspawn packages
    mkdir packages
    (cd packages && apt-get download -q systemd-container libsystemd-shared)
    for package in packages/*.deb; do
        dpkg-deb -x "$package" nspawn
    done
    rm -r packages
fi

if [ ! -d root ]; then
    rm -rf root.part
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,perl-base,procps \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm root.part
    mv root.part root
fi
