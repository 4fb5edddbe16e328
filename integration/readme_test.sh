#!/usr/bin/env bash
# What README.md tells a newcomer to type and to write is what is tested.
#
#   readme_test.sh README.md readme_sample.cc
set -euo pipefail

readme=$1
sample=$2

fail() { echo "readme test: $*" >&2; exit 1; }

# The backticks are Markdown's.
# shellcheck disable=SC2016
shown=$(sed -n '/^```cpp$/,/^```$/p' "$readme" | grep -v '^```')
[[ $shown == "$(<"$sample")" ]] || fail "README.md shows another sample:"$'\n'"$(diff "$sample" - <<<"$shown")"

for command in 'tools/setup && bazel run //bench:report' 'tools/setup && bazel test //...'; do
  grep -qxF "    $command" "$readme" || fail "README.md does not have the line '$command'"
done
