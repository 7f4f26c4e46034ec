#!/bin/bash
# Builds failures.cu with the runtime of the CUDA backend: build.sh <program>
#
# Needs nvcc, and no GPU. The program runs anywhere with a driver and two GPUs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(cd "$here/../../../native" && pwd)
program=$1
arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}

flags=(-std=c++20 -O1 -lineinfo -gencode "arch=$arch" "-DEPGEN_ARCH=\"${arch##*=}\"" -I "$native")
sources=("$here/failures.cu" "$native/runtime/cuda_kernels.cu")
for source in "$native"/runtime/*.cpp; do
  case $(basename "$source") in
    cpu_* | emulator_*) ;; # the other backend
    *) sources+=("$source") ;;
  esac
done
objects=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in "${sources[@]}"; do
  object="$scratch/$(basename "$source").o"
  nvcc "${flags[@]}" -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
nvcc -gencode "arch=$arch" -cudart static -Xcompiler -static-libstdc++,-static-libgcc,-pthread "${objects[@]}" \
  -o "$program"
