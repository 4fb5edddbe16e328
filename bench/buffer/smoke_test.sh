#!/usr/bin/env bash
# Runs every case of the suite once, and checks what the report relies on: the names, and that each
# case measures granary and its peers.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

path=bench/buffer/buffer_bench
# buffer/CASE/DISTRIBUTION/pages:P/threads:N/IMPLEMENTATION, without the pages where the case says how many, and that the time is the clock's on the
# wall; or that nothing is timed.
timed='((fix_unfix|peek)/[a-z_]+/pages:[0-9]+|miss(_ahead)?/shuffled|miss_direct/uniform|update/uniform/[a-z_]+|btree_[a-z]+/[a-z_]+/(uniform|zipf))/threads:[12]/[a-z_]+/manual_time'
counted='hit_ratio/(oltp|p3)/pages:[0-9]+/[a-z0-9_]+/iterations:1'
well_formed="^buffer/($timed|$counted)\$"

fail() { echo "smoke test: $*" >&2; exit 1; }

[[ -x $path ]] || fail "$path is not among the runfiles"
list=$("$path" --benchmark_list_tests)
if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
  fail "there are names that are not well formed:"$'\n'"$malformed"
fi
names=${list//\/manual_time/}
names=${names//\/iterations:1/}
[[ -z $(sort <<<"$names" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"$names" | uniq -d)"

measures() {
  local implementation
  for implementation in "${@:2}"; do
    grep -qx "buffer/$1/$implementation" <<<"$names" || fail "$1 does not measure $implementation"
  done
}
for distribution in uniform/pages:1000 uniform/pages:64000 zipf/pages:1000 zipf/pages:64000 hot/pages:1000; do
  for threads in 1 2; do
    peers=(rocksdb_hyper_clock rocksdb_lru bdb_mpool mmap raw)
    [[ $threads == 2 ]] || peers+=(sqlite_pcache)
    measures "fix_unfix/$distribution/threads:$threads" granary "${peers[@]}"
    measures "peek/$distribution/threads:$threads" granary granary_counted "${peers[@]}"
  done
done

for pages in 1000 64000; do
  measures "fix_unfix/uniform_chained/pages:$pages/threads:1" granary raw rocksdb_hyper_clock
  measures "peek/uniform_chained/pages:$pages/threads:1" granary raw rocksdb_hyper_clock
done
for threads in 1 2; do measures "miss/shuffled/threads:$threads" granary raw; done
measures miss_ahead/shuffled/threads:1 granary granary_uring raw
for threads in 1 2; do
  measures "miss_direct/uniform/threads:$threads" granary fio
  for changes in readonly half_writes writes; do measures "update/uniform/$changes/threads:$threads" granary; done
done
for distribution in uniform zipf; do
  for threads in 1 2; do measures "btree_lookup/in_memory/$distribution/threads:$threads" granary lmdb lmdb_cursor; done
  for operation in btree_lookup btree_scan; do
    measures "$operation/larger_than_memory/$distribution/threads:1" granary lmdb lmdb_cursor
  done
done
measures btree_scan/in_memory/uniform/threads:1 granary lmdb lmdb_cursor
measures btree_insert/in_memory/uniform/threads:1 granary lmdb
for pages in oltp/pages:{1000,2000,5000,10000,15000} p3/pages:{1023,5117,10234,20469}; do
  measures "hit_ratio/$pages" granary granary_{2q,clock,lru} rocksdb_{hyper_clock,lru}
done

export TMPDIR=${TEST_TMPDIR:-/tmp}
result=$("$path" --benchmark_min_time=0.0001 --benchmark_format=json 2>/dev/null) || fail "the program failed"
# What cannot run on this machine says so.
if errors=$(grep '"error_message"' <<<"$result" | grep -v '"skipped: '); then
  fail "a benchmark failed: $errors"
fi
measured=$(grep -Ec '"(items_per_second|miss_percent|error_message)": ' <<<"$result" || true)
[[ $measured == $(wc -l <<<"$names") ]] || fail "of $(wc -l <<<"$names") benchmarks $measured are measured"
latencies=$(grep -Ec '"fix_us_p(50|99|99\.9)": [0-9]' <<<"$result" || true)
[[ $latencies == 18 ]] || fail "of 18 latencies of updates $latencies are there"
grep -q '"malloc_library": ".*libc.so' <<<"$result" || fail "the program does not run on glibc's malloc"
for library in rocksdb berkeley_db lmdb sqlite; do
  grep -Eq "\"${library}_version\": \"[0-9]" <<<"$result" || fail "the program does not say which $library it has"
done

! compgen -G "$TMPDIR/granary_bench_*" >/dev/null || fail "files are left in $TMPDIR"
