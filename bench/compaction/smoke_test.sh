#!/usr/bin/env bash
# Runs every case of the suite once, and checks what the report relies on: the names, that each case
# measures granary and its peers, and that nothing holds less than what is live.
#
#   smoke_test.sh    from the root of the runfiles
set -euo pipefail

path=bench/compaction/compaction_bench
picture_path=bench/compaction/picture_main
# compaction/CASE/IMPLEMENTATION or compaction/CASE/VARIANT/IMPLEMENTATION, with waiting or not, or counted once.
well_formed='^compaction/([a-z_]+(/[A-Za-z0-9]+)?/[a-z_]+(/real_time)?|space_[a-z_]+(/[A-Za-z0-9]+)?/[a-z_]+/iterations:1)$'

fail() { echo "smoke test: $*" >&2; exit 1; }

[[ -x $path && -x $picture_path ]] || fail "$path or $picture_path is not among the runfiles"
list=$("$path" --benchmark_list_tests)
if malformed=$(grep -Ev "$well_formed" <<<"$list"); then
  fail "there are names that are not well formed:"$'\n'"$malformed"
fi
names=$(sed -E 's,/(iterations:1|real_time)$,,' <<<"$list")
[[ -z $(sort <<<"$names" | uniq -d) ]] || fail "a name is there twice: $(sort <<<"$names" | uniq -d)"

measures() {
  local implementation
  for implementation in "${@:2}"; do
    grep -qx "compaction/$1/$implementation" <<<"$names" || fail "$1 does not measure $implementation"
  done
}
for number in {0..9}; do
  measures "workload/W$number" granary granary_unmoved malloc
  measures "space_workload/W$number" granary granary_unmoved malloc
done
for action in add remove readd; do
  measures "blobs_memory/$action" granary map_of_malloc sqlite
  measures "blobs_file/$action" granary sqlite
done
measures snapshot/save granary raw
measures snapshot/load granary raw
measures shrink granary
measures space_shrink granary granary_unmoved sqlite sqlite_unmoved

export TMPDIR=${TEST_TMPDIR:-/tmp}
result=$("$path" --benchmark_min_time=0.0001 --benchmark_format=json 2>/dev/null) || fail "the program failed"
! grep -q '"error_message"' <<<"$result" || fail "a benchmark failed"
timed=$(grep -c '"items_per_second": ' <<<"$result" || true)
counted=$(grep -c '"held_per_asked": ' <<<"$result" || true)
[[ $((timed + counted)) == $(wc -l <<<"$names") ]] || fail "of $(wc -l <<<"$names") benchmarks $timed are timed and $counted counted"
# Nobody holds less than what is live.
! grep -Eq '"held_per_asked": ([0.]|.*e-)' <<<"$result" || fail "somebody holds less than what is live"
grep -q '"malloc_library": ".*libc.so' <<<"$result" || fail "the program does not run on glibc's malloc"
grep -q '"sqlite_version": "3' <<<"$result" || fail "the program does not say which SQLite it has"
# A picture of each workload, for the report.
for number in {0..9}; do
  picture=compaction/space_workload/W$number
  grep -Eq "\"granary_pictures\": \".*${picture}[,\"]" <<<"$result" || fail "the program does not say that it draws $picture"
done
[[ $("$path" --granary_picture=compaction/space_workload/W8) == "<svg "*"</svg>" ]] || fail "W8 is drawn as no picture"
! "$path" --granary_picture=compaction/nothing >/dev/null || fail "nothing has a picture"
[[ $("$picture_path" --workload=W8) == "W8: blocks of 10485 B"*"after "* ]] || fail "the program for pictures prints none of W8"
"$picture_path" --workload=W8 --svg="$TMPDIR/w8.svg" || fail "the program for pictures writes none of W8"
cmp <("$path" --granary_picture=compaction/space_workload/W8) "$TMPDIR/w8.svg" || fail "the two programs draw W8 differently"
for bad in "" --workload=W10 "--workload=W8 --svg=/nowhere/w8.svg" "--workload=W8 --divisor=0"; do
  status=0
  # shellcheck disable=SC2086
  "$picture_path" $bad >/dev/null 2>&1 || status=$?
  [[ $status == 2 ]] || fail "the program for pictures ends with $status of '$bad'"
done

! compgen -G "$TMPDIR/granary_bench_*" >/dev/null || fail "files are left in $TMPDIR"
