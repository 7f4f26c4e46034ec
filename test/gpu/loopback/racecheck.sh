#!/bin/bash
# Runs racecheck on a loopback program: racecheck.sh <folder of built programs> [loopback]
#
# Exits with 0 when the program passes and racecheck reports nothing but the one pair that it can't follow (README.md).
set -uo pipefail
output=$(mktemp)
trap 'rm -f "$output"' EXIT
cd "$1" && compute-sanitizer --tool racecheck --print-limit 10000 "./${2:-loopback}-program" --deadline-ms 100000 | tee "$output"
passed=${PIPESTATUS[0]}
awk '
  /Race reported between/ { read = $0; getline; all++
    if (read ~ /Read access at epgen::Vec16 epgen::ld_vec16</ && $0 ~ /and Write access at void epgen::bulk_load</) known++ }
  END { printf "racecheck: %d reports of ld_vec16 before bulk_load, %d others\n", known, all - known; exit all != known }
' "$output" && [ "$passed" = 0 ] && grep -q 'RACECHECK SUMMARY' "$output"
