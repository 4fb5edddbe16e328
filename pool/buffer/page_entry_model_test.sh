#!/usr/bin/env bash
# SPIN's search through the model of the page entry finds nothing, and finds each defect that is built into it.
#
#   page_entry_model_test.sh MODEL.pml [all]
#
# Without `all` there are two searches: a thread that latches beside one that only peeks, and two that only latch; with it one, of
# two threads that do everything: six million states. Every search is exhaustive, ends before it has met a limit, and has reached
# every statement that it may reach. Without SPIN (Debian's package `spin`) nothing is tested, which is said.
set -euo pipefail

model=$(realpath "$1")
searches=(PEEKER LATCHERS)
optimisation=-O0  # Compiling takes longer than it saves.
memory_mib=240
hash_bits=22
if [[ ${2:-} == all ]]; then
  searches=(EVERYBODY)
  optimisation=-O2
  memory_mib=1000
  hash_bits=25
fi

fail() { echo "page entry model: $*" >&2; exit 1; }

if ! command -v spin >/dev/null; then
  echo "page entry model: skipped, as there is no spin; tools/setup installs it"
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What a search with these words defined says is in $scratch/WORDS/found.
search() {
  local words="$*"
  mkdir "$scratch/$words"
  cd "$scratch/$words"
  cp "$model" model.pml
  { spin "${@/#/-D}" -a model.pml && cc "$optimisation" -DSAFETY -DCOLLAPSE "-DMEMLIM=$memory_mib" -o pan pan.c; } >built 2>&1 || return
  ./pan -m1500000 "-w$hash_bits" >found 2>&1 || true
  rm pan*
}

mapfile -t defects < <(sed -nE 's/^ \*   ([A-Z_]+)  +[a-z].*/\1/p' "$model")
[[ ${#defects[@]} -ge 12 ]] || fail "the model names ${#defects[@]} defects"

for what in "${searches[@]}" "${defects[@]/#/PEEKER }"; do
  # shellcheck disable=SC2086
  (search $what) &
  # Two at a time.
  [[ $(jobs -pr | wc -l) -lt 2 ]] || wait -n
done
wait

for what in "${searches[@]}" "${defects[@]/#/PEEKER }"; do
  [[ -e $scratch/$what/found ]] || { cat "$scratch/$what/built" >&2; fail "$what: no search comes of the model"; }
done

for what in "${searches[@]}"; do
  found=$(<"$scratch/$what/found")
  grep -q 'errors: 0$' <<<"$found" || { echo "$found" >&2; fail "$what: the search finds an error"; }
  ! grep -qE 'Search not completed|max search depth|out of memory|MEMLIM|truncated' <<<"$found" ||
    { echo "$found" >&2; fail "$what: the search is not complete"; }
  # What belongs to a peek is there where somebody peeks. Ends of processes are not meant to be reached, and a constant that an inline
  # is given makes a branch of it a dead one.
  if [[ $what != LATCHERS ]]; then
    unreached=$(grep -P '^\t.*state \d+, "' <<<"$found" | grep -vE '"-end-"|"readers = \(readers\+1\)"' || true)
    [[ -z $unreached ]] || fail "$what: statements that nothing reaches:"$'\n'"$unreached"
  fi
  echo "$what: $(grep -oE '[0-9.e+]+ states, stored' <<<"$found"), no error"
done

for defect in "${defects[@]}"; do
  grep -qE "^#if(n)?def $defect\$" "$model" || fail "$defect is nowhere in the model"
  found=$(<"$scratch/PEEKER $defect/found")
  grep -qE '^pan:1: (assertion violated|invalid end state)' <<<"$found" || { echo "$found" >&2; fail "$defect is not found"; }
  echo "$defect: found, $(grep -oE -m 1 'assertion violated|invalid end state' <<<"$found")"
done
