#!/usr/bin/env bash
# What a document shows is what is compiled and run.
#
#   docs_test.sh DOCUMENT.md FOLDER/SAMPLE.cc...
#
# Every ```cpp block of the document is a region of one of the files, and every region is shown, those of a file in their order.
# The file that the text above a block names last, as FOLDER/SAMPLE.cc, is the block's. A region is what stands between two lines `// [sample]` and
# `// [/sample]`, moved to the left by as much as the first of them is indented.
set -euo pipefail

document=$1
shift

fail() { echo "docs test: $*" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/shown" "$scratch/samples"

# The backticks are Markdown's.
# shellcheck disable=SC2016
if odd=$(grep -n '^ *\(```\|~~~\)' "$document" | grep -vE ':```(cpp|python|)$'); then
  fail "$document has a block of another kind, which nothing compares:"$'\n'"$odd"
fi

folder=$(basename "$(dirname "$1")")
# shellcheck disable=SC2016
awk -v into="$scratch/shown" -v names="$folder/[a-z0-9_]+[.]cc" '
  BEGIN { file = "unnamed" }
  in_block && /^```$/ { in_block = 0; close(out); next }
  in_block { print >out; next }
  /^```cpp$/ { in_block = 1; out = into "/" file "." ++count[file]; printf "" >out; next }
  match($0, names) { file = substr($0, RSTART, RLENGTH); sub(/.*\//, "", file) }
' "$document"

for sample in "$@"; do
  name=$(basename "$sample")
  awk -v out="$scratch/samples/$name" '
    /^ *\/\/ \[sample\]$/ { if (in_region) exit 1; in_region = 1; indent = index($0, "/") - 1; printf "" >(out "." ++count); next }
    /^ *\/\/ \[\/sample\]$/ { if (!in_region) exit 1; in_region = 0; next }
    in_region { if (substr($0, 1, indent) ~ /[^ ]/) exit 1; print substr($0, indent + 1) >(out "." count) }
    END { if (in_region) exit 1 }
  ' "$sample" || fail "$sample: the marks of its regions are not in pairs, or a line is less indented than its mark"
  [[ -e $scratch/samples/$name.1 ]] || fail "$sample has no region to show"
done

diff -r "$scratch/samples" "$scratch/shown" ||
  fail "$document does not show the regions of its samples (<), but what is above (>)"
