#!/bin/bash
# Runs every packed soak: run.sh <folder for results> [options of the programs]
#
# The first that is there takes its whole time, the others 20 seconds each. One JSON line a program, in soak.jsonl.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
results=$(cd "$1" && pwd)
shift
status=0
limit=()
for program in "$here"/soak*_*; do
  echo "== $(basename "$program")"
  "$program" "$@" "${limit[@]}" | tee -a "$results/soak.jsonl"
  [ "${PIPESTATUS[0]}" = 0 ] || status=1
  limit=(--seconds 20)
done
exit $status
