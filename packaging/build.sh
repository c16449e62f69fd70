#!/usr/bin/env bash
# build.sh ARCH...: makes dist/pve-ha-go_VERSION_ARCH.deb for each architecture,
# the same bytes from the same commit wherever it is built. Runs from the root of
# the repository, and needs Go, git, gzip and nfpm ($NFPM).
set -euo pipefail
cd "$(dirname "$0")/.."
: "${NFPM:?is to name the program nfpm: run make deb}" "${OUT:=dist}"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
VERSION=${VERSION:-$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/changelog)}
export SOURCE_DATE_EPOCH VERSION CGO_ENABLED=0 TZ=UTC LC_ALL=C

# compress FILE... puts each into a gzip file, without name and time.
compress() { gzip -9n "$@"; }

# Nobody else's: two builds may run at a time.
STAGE=$(mktemp -d)
export STAGE
trap 'rm -rf "$STAGE"' EXIT

# stage ARCH makes everything that is not in the repository.
stage() {
    rm -rf "$STAGE"
    mkdir -p "$STAGE"/{sbin,libexec,docs,man8}
    local build=(env GOOS=linux GOARCH="$1" "${GO:-go}" build -buildvcs=false -trimpath -ldflags '-s -w -buildid=')
    "${build[@]}" -o "$STAGE/libexec/" ./crm/cmd/pve-ha-crm ./lrm/cmd/pve-ha-lrm ./hactl/cmd/ha-manager ./watchdogmux/cmd/watchdog-mux
    "${build[@]}" -o "$STAGE/sbin/" ./packaging/cmd/pve-ha-switch
    cp lrm/agent/action/guest-action internal/pveenv/helper/notify "$STAGE/libexec/"
    "${GO:-go}" run ./hactl/cmd/ha-manager-docs "$STAGE/docs"
    cp packaging/man/pve-ha-{crm,lrm}.8 "$STAGE/docs/"
    cp packaging/man/{pve-ha-switch,watchdog-mux}.8 "$STAGE/man8/"
    cat packaging/copyright LICENSE >"$STAGE/copyright"
    cp packaging/changelog "$STAGE/changelog"
    compress "$STAGE"/docs/*.[18] "$STAGE"/man8/* "$STAGE/changelog"
}

mkdir -p "$OUT"
for ARCH in "$@"; do
    export ARCH
    stage "$ARCH"
    "$NFPM" package --config packaging/nfpm.yaml --packager deb --target "$OUT/pve-ha-go_${VERSION}_$ARCH.deb" >&2
    echo "$OUT/pve-ha-go_${VERSION}_$ARCH.deb"
done
