#!/usr/bin/env bash
# run.sh TIME: searches for TIME with each fuzz target of the module, and says
# how each did. The targets are found, so that no list of them can go stale.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
go=${GO:-go}

packages=$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u)
# go test names a package after its targets.
# shellcheck disable=SC2086 # the packages are words
targets=$("$go" test -list '^Fuzz' $packages | awk '
    /^Fuzz/ { names[++n] = $1 }
    $1 == "ok" { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
[ -n "$targets" ] || { echo "no fuzz target found" >&2; exit 1; }

failed=()
while read -r package target; do
    printf '%s %s: ' "$package" "$target"
    if output=$("$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" 2>&1 </dev/null); then
        echo "passed, $(sed -n 's/^fuzz: //p' <<<"$output" | tail -1)"
    else
        printf 'FAILED\n%s\n' "$output"
        failed+=("$target")
    fi
done <<<"$targets"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
