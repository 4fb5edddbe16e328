#!/usr/bin/env bash
# Runs a little of every program of the suite, and checks what the report relies on: the names, that each
# case measures granary and every malloc, and that each malloc is really the one that is linked.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

programs=(query_bench query_bench_jemalloc query_bench_mimalloc query_bench_tcmalloc)
# query/CASE/threads:N/IMPLEMENTATION by the clock on the wall, or counted once.
well_formed='^query/([a-z_]+/threads:[12]/[a-z_]+/manual_time|resident_[a-z_]+/[a-z_]+/iterations:1)$'
few='/(small/threads:2|aggregation/threads:1|resident_join)/'

fail() { echo "smoke test: $*" >&2; exit 1; }

names=
for program in "${programs[@]}"; do
  path=bench/query/$program
  [[ -x $path ]] || fail "$path is not among the runfiles"

  list=$("$path" --benchmark_list_tests)
  [[ -n $list ]] || fail "$program has no benchmarks"
  if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
    fail "$program has names that are not well formed:"$'\n'"$malformed"
  fi
  list=${list//\/manual_time/}
  names+=${list//\/iterations:1/}$'\n'

  result=$("$path" --benchmark_min_time=0.0001 --benchmark_filter="$few" --benchmark_format=json 2>/dev/null) ||
    fail "$program failed"
  ! grep -q '"error_message"' <<<"$result" || fail "a benchmark of $program failed"
  grep -Eq '"items_per_second": ' <<<"$result" || fail "$program timed nothing"
  grep -Eq '"resident_mib": [0-9.]*[1-9]' <<<"$result" || fail "$program counted nothing"
  library=$(grep '"malloc_library"' <<<"$result") || fail "$program does not say where its malloc comes from"
  expected=${program#query_bench}
  [[ $library == *"lib${expected#_}"* ]] || fail "$program runs on $library"
done

[[ -z $(sort <<<"${names%$'\n'}" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"${names%$'\n'}" | uniq -d)"

while read -r name; do
  for implementation in granary granary_uncounted malloc jemalloc mimalloc tcmalloc pmr; do
    grep -q "^${name%/*}/$implementation\$" <<<"$names" || fail "${name%/*} does not measure $implementation"
  done
done <<<"${names%$'\n'}"
