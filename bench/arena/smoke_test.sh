#!/usr/bin/env bash
# Runs a little of every program of the suite, and checks what the report relies on: the names, that each
# case measures granary, and that each malloc is really the one that is linked.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

programs=(arena_bench arena_bench_jemalloc arena_bench_mimalloc arena_bench_tcmalloc)
# arena/CASE/IMPLEMENTATION with up to two variants between.
well_formed='^arena/[a-z0-9_]+(/[A-Za-z0-9_.]+){0,2}/[a-z_0-9]+$'
few='/(mix|sqlite_analytics|trace_sqlite_analytics|10/4KiB|65536|vector|string|map)/|memtable/|reset/1/'

fail() { echo "smoke test: $*" >&2; exit 1; }

names=
for program in "${programs[@]}"; do
  path=bench/arena/$program
  [[ -x $path ]] || fail "$path is not among the runfiles"

  list=$("$path" --benchmark_list_tests)
  [[ -n $list ]] || fail "$program has no benchmarks"
  if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
    fail "$program has names that are not well formed:"$'\n'"$malformed"
  fi
  names+=$list$'\n'

  result=$("$path" --benchmark_min_time=0.0001 --benchmark_filter="$few" --benchmark_format=json 2>/dev/null) ||
    fail "$program failed"
  ! grep -q '"error_occurred": true' <<<"$result" || fail "a benchmark of $program failed:"$'\n'"$(grep -B 10 '"error_message"' <<<"$result")"
  grep -Eq '"(items_per_second|held_per_asked)": ' <<<"$result" || fail "$program published nothing"
  library=$(grep '"malloc_library"' <<<"$result") || fail "$program does not say where its malloc comes from"
  expected=${program#arena_bench}
  [[ $library == *"lib${expected#_}"* ]] || fail "$program runs on $library"
done

[[ -z $(sort <<<"${names%$'\n'}" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"${names%$'\n'}" | uniq -d)"

while read -r name; do
  grep -q "^${name%/*}/granary\$" <<<"$names" || fail "${name%/*} does not measure granary"
done <<<"${names%$'\n'}"
