#!/usr/bin/env bash
# Runs a little of every program of the suite, and checks what the report relies on: the names, that each
# case measures granary and every peer, and that each malloc is really the one that is linked.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

programs=(region_bench region_bench_jemalloc region_bench_mimalloc region_bench_tcmalloc)
# region/CASE/IMPLEMENTATION, or counted once.
well_formed='^region/([a-z_]+/[a-z_]+|space_[a-z_]+/[a-z_]+/iterations:1)$'
few='/(small_exact|lifo|between|trace_sqlite_analytics|space_small_exact|space_trace_sqlite_analytics)/'

fail() { echo "smoke test: $*" >&2; exit 1; }

names=
for program in "${programs[@]}"; do
  path=bench/region/$program
  [[ -x $path ]] || fail "$path is not among the runfiles"

  list=$("$path" --benchmark_list_tests)
  [[ -n $list ]] || fail "$program has no benchmarks"
  if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
    fail "$program has names that are not well formed:"$'\n'"$malformed"
  fi
  names+=${list//\/iterations:1/}$'\n'

  result=$("$path" --benchmark_min_time=0.0001 --benchmark_filter="$few" --benchmark_format=json 2>/dev/null) ||
    fail "$program failed"
  ! grep -q '"error_message"' <<<"$result" || fail "a benchmark of $program failed"
  grep -Eq '"items_per_second": ' <<<"$result" || fail "$program timed nothing"
  # Nobody holds less than what is live.
  grep -q '"held_per_asked": ' <<<"$result" || fail "$program counted nothing"
  ! grep -Eq '"held_per_asked": ([0.]|.*e-)' <<<"$result" || fail "$program holds less than what is live"
  library=$(grep '"malloc_library"' <<<"$result") || fail "$program does not say where its malloc comes from"
  expected=${program#region_bench}
  [[ $library == *"lib${expected#_}"* ]] || fail "$program runs on $library"
done

[[ -z $(sort <<<"${names%$'\n'}" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"${names%$'\n'}" | uniq -d)"

while read -r name; do
  peers=(granary granary_tracked granary_lowest boost_rbtree boost_rbtree_offset)
  # A malloc has no free ranges to be counted.
  [[ $name == region/million_free/* ]] || peers+=(malloc jemalloc mimalloc tcmalloc)
  for implementation in "${peers[@]}"; do
    grep -q "^${name%/*}/$implementation\$" <<<"$names" || fail "${name%/*} does not measure $implementation"
  done
done <<<"${names%$'\n'}"
