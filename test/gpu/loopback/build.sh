#!/bin/bash
# Builds the loopback program of one spec: build.sh <generated folder> <program>
#
# Needs nvcc, and no GPU. For the program that sanitizers run, generate its spec first:
#   node dist/cli/main.js generate test/gpu/loopback/loopback.spec.ts --out test/.generated/loopback/spec
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
generated=$(cd "$1" && pwd)
program=$2
namespace=$(sed -n 's/^namespace epgen::\([a-z0-9_]*\) {$/\1/p' "$generated/layout.cuh" | head -1)

# -lineinfo: sanitizers name source lines.
flags=(-std=c++20 -O2 -lineinfo -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -Werror all-warnings
  -I "$root/native" -I "$generated" "-DEPGEN_SPEC=$namespace")
objects=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in "$generated"/{dispatch,combine,dispatch_layout}.cu "$generated/launch.cpp" "$here/main.cu"; do
  object="$scratch/$(basename "$source").o"
  nvcc "${flags[@]}" -x cu -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
nvcc -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -cudart static \
  -Xcompiler -static-libstdc++,-static-libgcc "${objects[@]}" -o "$program"
