#!/usr/bin/env bash
# kernel.sh DIR: gets Debian's kernel into DIR: vmlinux, and the modules of the
# watchdogs. Needs apt-get, dpkg-deb, tar and xz.
set -euo pipefail
dir=$1
if [ -e "$dir/vmlinux" ]; then
    exit 0
fi
mkdir -p "$dir/package"
# The cloud kernel has no i6300esb.
package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ {print $2; exit}')
if [ -z "$package" ]; then
    echo "kernel.sh: linux-image-amd64 is not known: apt-get update first" >&2
    exit 1
fi
(cd "$dir/package" && apt-get download -q "$package")
dpkg-deb --fsys-tarfile "$dir/package/$package"_*.deb | tar -x -C "$dir/package" --wildcards \
    './boot/vmlinuz-*' '*/drivers/watchdog/watchdog.ko*' '*/drivers/watchdog/softdog.ko*' '*/drivers/watchdog/i6300esb.ko*'
find "$dir/package" -name '*.ko.xz' -exec xz -d {} +
find "$dir/package" -name '*.ko' -exec mv -t "$dir" {} +

# The payload of the image is an ELF file, which starts without being
# decompressed under emulation. Its place is in the header of the boot protocol:
# 0x1f1 is the number of sectors of the setup code, 0x248 and 0x24c are offset
# and length of the payload.
image=$(echo "$dir/package/boot/vmlinuz-"*)
number() { od -An -tu"$2" -j$(($1)) -N"$2" "$image" | tr -d ' '; }
start=$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4)))
tail -c +$((start + 1)) "$image" >"$dir/payload"
truncate -s "$(number 0x24c 4)" "$dir/payload"
if ! xz -dc --single-stream "$dir/payload" >"$dir/vmlinux.part"; then
    cp "$image" "$dir/vmlinux.part" # another compression: slower, and good enough
fi
mv "$dir/vmlinux.part" "$dir/vmlinux"
rm -r "$dir/package" "$dir/payload"
