#!/usr/bin/env bash
# Runs a little of every program of the suite, and checks what the report relies on: the names, that each
# case measures granary and every malloc, and that each malloc is really the one that is linked.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

programs=(pool_bench pool_bench_dpdk pool_bench_jemalloc pool_bench_mimalloc pool_bench_tcmalloc)
# pool/PATTERN/PAGE/threads:N/IMPLEMENTATION, and that the time is the clock's on the wall.
well_formed='^pool/[a-z_]+/[0-9]+KiB/threads:[128]/[a-z_]+/manual_time$'
few='/(lifo|random_touched|burst|producer_consumer)/(4|64)KiB/threads:[12]/'

fail() { echo "smoke test: $*" >&2; exit 1; }

names=
for program in "${programs[@]}"; do
  path=bench/pool/$program
  [[ -x $path ]] || fail "$path is not among the runfiles"

  list=$("$path" --benchmark_list_tests)
  [[ -n $list ]] || fail "$program has no benchmarks"
  if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
    fail "$program has names that are not well formed:"$'\n'"$malformed"
  fi
  names+=${list//\/manual_time/}$'\n'

  result=$("$path" --benchmark_min_time=0.0001 --benchmark_filter="$few" --benchmark_format=json 2>/dev/null) ||
    fail "$program failed"
  # What cannot run on this machine says so.
  if errors=$(grep '"error_message"' <<<"$result" | grep -v '"skipped: '); then
    fail "a benchmark of $program failed:"$'\n'"$errors"
  fi
  grep -Eq '"(items_per_second|error_message)": ' <<<"$result" || fail "$program published nothing"
  library=$(grep '"malloc_library"' <<<"$result") || fail "$program does not say where its malloc comes from"
  expected=${program#pool_bench}
  expected=${expected/_dpdk/}
  [[ $library == *"lib${expected#_}"* ]] || fail "$program runs on $library"
done

[[ -z $(sort <<<"${names%$'\n'}" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"${names%$'\n'}" | uniq -d)"

while read -r name; do
  for implementation in granary malloc jemalloc mimalloc tcmalloc dpdk_mempool raw; do
    grep -q "^${name%/*}/$implementation\$" <<<"$names" || fail "${name%/*} does not measure $implementation"
  done
done <<<"${names%$'\n'}"
