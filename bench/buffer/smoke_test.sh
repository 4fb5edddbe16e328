#!/usr/bin/env bash
# Runs every case of the suite once, and checks what the report relies on: the names, and that each
# case measures granary and its peers.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

path=bench/buffer/buffer_bench
# buffer/CASE/DISTRIBUTION/pages:P/threads:N/IMPLEMENTATION, of misses without the pages, and that the time is the clock's on the wall.
well_formed='^buffer/((fix_unfix|peek)/[a-z_]+/pages:[0-9]+|miss(_ahead)?/shuffled)/threads:[12]/[a-z_]+/manual_time$'

fail() { echo "smoke test: $*" >&2; exit 1; }

[[ -x $path ]] || fail "$path is not among the runfiles"
list=$("$path" --benchmark_list_tests)
if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
  fail "there are names that are not well formed:"$'\n'"$malformed"
fi
names=${list//\/manual_time/}
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

export TMPDIR=${TEST_TMPDIR:-/tmp}
result=$("$path" --benchmark_min_time=0.0001 --benchmark_format=json 2>/dev/null) || fail "the program failed"
# What cannot run on this machine says so.
if errors=$(grep '"error_message"' <<<"$result" | grep -v '"skipped: '); then
  fail "a benchmark failed: $errors"
fi
timed=$(grep -Ec '"(items_per_second|error_message)": ' <<<"$result" || true)
[[ $timed == $(wc -l <<<"$names") ]] || fail "of $(wc -l <<<"$names") benchmarks $timed are timed"
grep -q '"malloc_library": ".*libc.so' <<<"$result" || fail "the program does not run on glibc's malloc"
for library in rocksdb berkeley_db sqlite; do
  grep -Eq "\"${library}_version\": \"[0-9]" <<<"$result" || fail "the program does not say which $library it has"
done

! compgen -G "$TMPDIR/granary_bench_*" >/dev/null || fail "files are left in $TMPDIR"
