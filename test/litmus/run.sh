#!/bin/bash
# All litmus tests on the GPUs of this machine: run.sh <folder for results>
#
# Writes litmus-1gpu.json, and litmus-2gpus.json where there are two with access to each other. Exits with 0 when no
# outcome was seen that PTX forbids.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
status=0
timeout 60 "$here/litmus-gpu" --json "$1/litmus-1gpu.json" --seconds 40 || status=$?
if [ "$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')" -ge 2 ]; then
  timeout 60 "$here/litmus-gpu" --peer --json "$1/litmus-2gpus.json" --seconds 40 || status=$?
fi
exit $status
