#!/bin/bash
# Packs the programs for a machine with a GPU and nothing else: pack.sh <folder>
#
# Needs nvcc and `npm run build`, and no GPU. There: cd <folder> && ./run.sh . <folder for results>
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cd "$root"
node dist/cli/main.js generate test/gpu/loopback/loopback.spec.ts --out "$scratch/loopback"
"$here/build.sh" "$scratch/loopback" "$folder/loopback-program"
"$here/build.sh" "$root/generated/ep8_h7168_bf16" "$folder/ep8_h7168_bf16-program"
for name in low-latency low-latency-fp8; do
  node dist/cli/main.js generate "test/gpu/loopback/$name.spec.ts" --out "$scratch/$name"
  "$here/build.sh" "$scratch/$name" "$folder/$name-program" low_latency
done
node dist/cli/main.js generate --ranks 8 --hidden 7168 --max-tokens 96 --name ep8_h7168_ll --set ll.maxTokensPerRank=24 \
  --experts 64 --set ll.dtype=fp8_e4m3 --set channels.ll=16 --out "$scratch/ep8_h7168_ll"
"$here/build.sh" "$scratch/ep8_h7168_ll" "$folder/ep8_h7168_ll-program" low_latency
nvcc -std=c++20 -O2 -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -I native test/gpu/rounding/rounding.cu \
  -cudart static -Xcompiler -static-libstdc++,-static-libgcc -o "$folder/rounding-program"
test/gpu/backend/build.sh "$folder/failures-program"
for placement in compact slotted; do
  node dist/cli/main.js generate --ranks 3 --hidden 7168 --experts 6 --topk 2 --max-tokens 96 --channels 3 \
    --name "ready_$placement" --set ht.cached=true --set ht.readyCounters=true --placement $placement \
    --out "$scratch/ready_$placement"
  test/gpu/ready/build.sh "$scratch/ready_$placement" "$folder/ready-$placement-program"
done
git rev-parse HEAD >"$folder/commit"
git status --porcelain >"$folder/changes"
cp "$here/run.sh" "$here"/racecheck.{sh,awk} "$folder"
ls -l "$folder"
