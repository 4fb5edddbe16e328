#!/usr/bin/env bash
# Runs a little of the suite's program, and checks what the report relies on: the names, and that each case measures granary.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

program=bench/concurrent/concurrent_bench
fail() { echo "smoke test: $*" >&2; exit 1; }

[[ -x $program ]] || fail "$program is not among the runfiles"
names=$("$program" --benchmark_list_tests | sed 's,/manual_time$,,')
[[ -n $names ]] || fail "there are no benchmarks"
if malformed=$(grep -Ev '^concurrent/[a-z0-9_]+/[0-9]+/[a-z_]+$' <<<"$names"); then
  fail "names that are not well formed:"$'\n'"$malformed"
fi
[[ -z $(sort <<<"$names" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"$names" | uniq -d)"
while read -r name; do
  grep -q "^${name%/*}/granary\$" <<<"$names" || fail "${name%/*} does not measure granary"
done <<<"$names"

result=$("$program" --benchmark_min_time=0.0001 --benchmark_format=json 2>/dev/null) || fail "$program failed"
! grep -q '"error_occurred": true' <<<"$result" || fail "a benchmark failed:"$'\n'"$(grep -B 10 '"error_message"' <<<"$result")"
[[ $(grep -c '"items_per_second": ' <<<"$result") == "$(wc -l <<<"$names")" ]] || fail "not every benchmark published a rate"
