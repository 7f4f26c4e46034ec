#!/bin/bash
# Builds the loopback program of one spec: build.sh <generated folder> <program> [low_latency]
#
# Needs nvcc, and no GPU. With `low_latency` it runs the spec's low-latency calls. For the programs that sanitizers run,
# generate their specs first:
#   node dist/cli/main.js generate test/gpu/loopback/loopback.spec.ts --out test/.generated/loopback/spec
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
generated=$(cd "$1" && pwd)
program=$2
main=${3:-main}
. "$root/test/gpu/support/spec-flags.sh"
mapfile -t spec < <(spec_flags "$generated")

# -lineinfo: sanitizers name source lines.
flags=(-std=c++20 -O2 -lineinfo -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -Werror all-warnings
  -I "$root/native" -I "$generated" "${spec[@]}")
objects=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in "$generated"/{*.cu,launch.cpp} "$here/$main.cu"; do
  object="$scratch/$(basename "$source").o"
  nvcc "${flags[@]}" -x cu -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
nvcc -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -cudart static \
  -Xcompiler -static-libstdc++,-static-libgcc "${objects[@]}" -o "$program"
