#!/bin/bash
# Builds the followers' program of one spec with ready counters: build.sh <generated folder> <program>
#
# Needs nvcc, and no GPU; the program needs one. Generate its spec first:
#   node dist/cli/main.js generate --ranks 3 --hidden 7168 --experts 6 --topk 2 --max-tokens 96 --channels 3 --name ready \
#     --set ht.cached=true --set ht.readyCounters=true --out test/.generated/ready
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
generated=$(cd "$1" && pwd)
program=$2
namespace=$(sed -n 's/^namespace epgen::\([a-z0-9_]*\) {$/\1/p' "$generated/layout.cuh" | head -1)
slotted=$(grep -c 'm.num_rank_counts' "$generated/launch.cpp" || true)

flags=(-std=c++20 -O2 -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -Werror all-warnings
  -I "$root/native" -I "$generated" -I "$root/test/ready" "-DEPGEN_SPEC=$namespace" "-DEPGEN_SLOTTED=$slotted")
objects=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in "$generated"/{*.cu,launch.cpp} "$here/main.cu"; do
  object="$scratch/$(basename "$source").o"
  nvcc "${flags[@]}" -x cu -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
nvcc -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -cudart static \
  -Xcompiler -static-libstdc++,-static-libgcc "${objects[@]}" -o "$program"
