#!/bin/bash
# Packs the soak of several specs for a machine with GPUs and nothing else: pack.sh <folder>
#
# Needs nvcc and `npm run build`, and no GPU. There: <folder>/run.sh <folder for results> [options of the programs]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$root"

# pack <name> <ranks> <flags of generate...>
pack() {
  local name=$1 ranks=$2
  shift 2
  node dist/cli/main.js generate --ranks "$ranks" --name "$name" --max-tokens 96 "$@" --out "$scratch/$name"
  "$here/build.sh" "$scratch/$name" "$folder/$name"
}
pack soak2_bf16 2 --hidden 1024 --experts 16 --topk 8 --set ll.maxTokensPerRank=64
pack soak2_fp8 2 --hidden 1024 --experts 16 --topk 8 --set ll.maxTokensPerRank=64 --set ll.dtype=fp8_e4m3 \
  --set ll.scaleDtype=ue8m0 --set ll.scaleLayout=column --set ll.combineDtype=fp8_e4m3 --set ll.credit=true
pack soak2_h7168 2 --hidden 7168 --experts 64 --topk 8 --set ll.maxTokensPerRank=128 --set ll.dtype=fp8_e4m3
pack soak4_bf16 4 --hidden 512 --experts 32 --topk 6 --set ll.maxTokensPerRank=32 --set ll.inFlight=4
cp "$here/run.sh" "$folder"
ls -l "$folder"
