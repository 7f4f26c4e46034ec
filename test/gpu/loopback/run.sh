#!/bin/bash
# Everything that one GPU can tell: run.sh <folder of built programs> <folder for results>
#
# The folder holds loopback-program (see build.sh), rounding-program and, if wanted, loopback programs of other specs,
# <spec>-program. Writes single-gpu.json, and one text file a step with the whole output. Exits with 0 when all passed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
built=$(cd "$1" && pwd)
mkdir -p "$2"
results=$(cd "$2" && pwd)
steps=""
status=0

quoted() { printf '"%s"' "$(printf '%s' "$1" | tr -d '\r' | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\n\t' '  ')"; }

# step <name> <seconds> <pattern of its summary lines> <command...>
step() {
  local name=$1 limit=$2 pattern=$3 rc start end
  shift 3
  start=$(date +%s.%N)
  (cd "$built" && timeout "$limit" "$@") >"$results/$name.txt" 2>&1
  rc=$?
  end=$(date +%s.%N)
  [ $rc = 0 ] || status=1
  local summary=""
  while IFS= read -r line; do summary+="${summary:+, }$(quoted "$line")"; done \
    < <(grep -E "$pattern" "$results/$name.txt" || true)
  echo "== $name: exit $rc"
  grep -E "$pattern" "$results/$name.txt"
  steps+="${steps:+,}
    {\"name\": $(quoted "$name"), \"command\": $(quoted "$*"), \"exit\": $rc, \"seconds\": $(echo "$end $start" | awk '{printf "%.1f", $1 - $2}'), \"summary\": [$summary]}"
}

passed='[0-9]+ passed, [0-9]+ failed'
step loopback 60 "$passed" ./loopback-program
for program in "$built"/ep*-program; do
  [ -e "$program" ] || continue
  name=$(basename "$program" -program)
  step "loopback-$name" 90 "$passed" "./$name-program"
done
sanitizer() {
  step "$1" "${EPGEN_SANITIZER_LIMIT:-120}" "SUMMARY|$passed" compute-sanitizer --tool "$@" --error-exitcode 9 \
    ./loopback-program --deadline-ms 100000
}
sanitizer memcheck
sanitizer synccheck
step racecheck "${EPGEN_SANITIZER_LIMIT:-120}" "SUMMARY|^racecheck:|$passed" "$here/racecheck.sh" "$built"
step rounding 60 'differ' ./rounding-program

if command -v node >/dev/null && command -v cuobjdump >/dev/null; then
  step sass 60 'kernels, [0-9]+ problems' node "$here/../sass-check.mjs" "$built"/*-program
fi

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)
tools=$(compute-sanitizer --version | grep -Eo 'Version [0-9.]+' | head -1)
cat >"$results/single-gpu.json" <<JSON
{
  "date": "$(date -u +%Y-%m-%d)",
  "gpu": $(quoted "$gpu"),
  "driver": $(quoted "$driver"),
  "cpus": $(nproc),
  "sanitizer": $(quoted "$tools"),
  "steps": [$steps
  ]
}
JSON
exit $status
