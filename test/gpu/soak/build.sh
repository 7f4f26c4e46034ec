#!/bin/bash
# Builds the soak of one spec with low-latency calls: build.sh <generated folder> <program>
#
# Needs nvcc, and no GPU; the program needs one GPU or as many as ranks, and a driver. Generate its spec first:
#   node dist/cli/main.js generate --ranks 2 --hidden 1024 --experts 16 --topk 8 --max-tokens 96 --name soak \
#     --set ll.maxTokensPerRank=64 --out test/.generated/soak
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
generated=$(cd "$1" && pwd)
program=$2
. "$root/test/gpu/support/spec-flags.sh"
mapfile -t spec < <(spec_flags "$generated")

arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}
commit=$(git -C "$root" describe --always --abbrev=40 --exclude '*' --dirty)
flags=(-std=c++20 -O2 -lineinfo -gencode "arch=$arch" -Werror all-warnings
  -I "$root/native" -I "$generated" "${spec[@]}" "-DEPGEN_COMMIT=\"$commit\"")
objects=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in "$generated"/{*.cu,launch.cpp} "$here/main.cu"; do
  object="$scratch/$(basename "$source").o"
  nvcc "${flags[@]}" -x cu -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
nvcc -gencode "arch=$arch" -cudart static -Xcompiler -static-libstdc++,-static-libgcc "${objects[@]}" -o "$program"
