#!/bin/bash
# Runs racecheck on a loopback program: racecheck.sh <folder of built programs> [loopback]
#
# Exits with 0 when the program passes and racecheck reports nothing but combine's ring, which it can't follow (README.md).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
cd "$1" && compute-sanitizer --tool racecheck --print-limit 10000 "./${2:-loopback}-program" --deadline-ms 100000 | tee "$output"
passed=${PIPESTATUS[0]}
awk -f "$here/racecheck.awk" "$output" && [ "$passed" = 0 ] && grep -q 'RACECHECK SUMMARY' "$output"
