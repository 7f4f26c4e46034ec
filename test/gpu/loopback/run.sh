#!/bin/bash
# Everything that one GPU can tell, and two of a device that fails: run.sh <folder of built programs> <folder for results>
#
# pack.sh makes the folder: loopback-program, low-latency*-program, rounding-program, failures-program, ready-*-program and
# loopback programs of other specs, ep*-program. Needs a driver; compute-sanitizer, cuobjdump, Node or a second GPU only for
# the steps that say so. Writes single-gpu.json, and one text file a step with the whole output. A step that can't run is
# listed with the reason. Exits with 0 when no step failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "$1" && pwd)
mkdir -p "$2"
results=$(cd "$2" && pwd)
PATH=$PATH:/usr/local/cuda/bin
steps=""
status=0
not_run=0

quoted() { printf '"%s"' "$(printf '%s' "$1" | tr -d '\r' | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\n\t' '  ')"; }
has() { command -v "$1" >/dev/null; }

# step <name> <seconds> <pattern of its summary lines> <command...>
step() {
  local name=$1 limit=$2 pattern=$3 rc start end
  shift 3
  start=$(date +%s.%N)
  (cd "$built" && timeout "$limit" "$@") >"$results/$name.txt" 2>&1
  rc=$?
  end=$(date +%s.%N)
  local summary=""
  while IFS= read -r line; do summary+="${summary:+, }$(quoted "$line")"; done \
    < <(grep -E "$pattern" "$results/$name.txt" || true)
  echo "== $name: exit $rc"
  grep -E "$pattern" "$results/$name.txt"
  if [ $rc != 0 ]; then
    status=1
    echo "   it ended with:"
    tail -n 5 "$results/$name.txt" | sed 's/^/   /'
  fi
  steps+="${steps:+,}
    {\"name\": $(quoted "$name"), \"command\": $(quoted "$*"), \"exit\": $rc, \"seconds\": $(echo "$end $start" | awk '{printf "%.1f", $1 - $2}'), \"summary\": [$summary]}"
}

# not_run <name> <reason>
not_run() {
  not_run=$((not_run + 1))
  echo "== $1: NOT RUN, $2"
  steps+="${steps:+,}
    {\"name\": $(quoted "$1"), \"notRun\": $(quoted "$2")}"
}

# The step of a tool that runs a program.
named() { if [ "$2" = loopback ]; then echo "$1"; else echo "$1-$2"; fi; }

passed='[0-9]+ passed, [0-9]+ failed'
step loopback 60 "$passed" ./loopback-program
for name in low-latency low-latency-fp8; do step "$name" 60 "$passed" "./$name-program"; done

limit=${EPGEN_SANITIZER_LIMIT:-120}
if has compute-sanitizer; then
  for name in loopback low-latency low-latency-fp8; do
    for tool in memcheck synccheck; do
      step "$(named $tool $name)" "$limit" "SUMMARY|$passed" compute-sanitizer --tool $tool --error-exitcode 9 \
        "./$name-program" --deadline-ms 100000
    done
    step "$(named racecheck $name)" "$limit" "SUMMARY|^racecheck:|$passed" "$here/racecheck.sh" "$built" "$name"
  done
else
  for tool in memcheck synccheck racecheck; do not_run $tool "no compute-sanitizer on PATH"; done
fi

for program in "$built"/ep*-program; do
  [ -e "$program" ] || continue
  name=$(basename "$program" -program)
  step "loopback-$name" 90 "$passed" "./$name-program"
done
step rounding 120 'differ' ./rounding-program
for placement in compact slotted; do
  step "ready-$placement" 60 'sources|followers|calls' "./ready-$placement-program"
done

num_gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
if [ "$num_gpus" -ge 2 ]; then
  step failures 60 '^(ok|FAIL) |failed$' ./failures-program
else
  not_run failures "needs two GPUs with access to each other, found $num_gpus"
fi

# Only the ordering instructions, as sass-check.mjs takes them: on a machine without Node they are checked elsewhere.
list_sass() {
  for program in "$built"/{loopback,low-latency*,ep*}-program; do cuobjdump --dump-sass "$program"; done |
    grep -E 'Function :|STRONG|MEMBAR|FENCE|UBLKCP|CCTL|SYNCS|UTMACMDFLUSH|DEPBAR|CONSTANT|\.NC|MULTIMEM'
}
if has cuobjdump && list_sass >"$results/sass.txt" && [ -s "$results/sass.txt" ]; then
  if has node && [ -e "$here/../sass-check.mjs" ]; then
    step sass-check 60 'kernels, [0-9]+ problems' node "$here/../sass-check.mjs" "$results/sass.txt"
  else
    not_run sass-check "sass.txt is to be checked where Node is: node test/gpu/sass-check.mjs sass.txt"
  fi
else
  not_run sass-check "no cuobjdump on PATH, or it lists nothing"
fi

ask() { nvidia-smi "--query-gpu=$1" --format=csv,noheader 2>/dev/null | head -1; }
tools=$(has compute-sanitizer && compute-sanitizer --version | grep -Eo 'Version [0-9.]+' | head -1)
cat >"$results/single-gpu.json" <<JSON
{
  "date": "$(date -u +%Y-%m-%d)",
  "commit": $(quoted "$(cat "$here/commit")"),
  "changes": $(quoted "$(cat "$here/changes")"),
  "gpu": $(quoted "$(ask name)"),
  "gpus": $num_gpus,
  "driver": $(quoted "$(ask driver_version)"),
  "cpus": $(nproc),
  "sanitizer": $(quoted "$tools"),
  "steps": [$steps
  ]
}
JSON
if [ $not_run != 0 ]; then echo "$not_run steps were not run"; fi
exit $status
