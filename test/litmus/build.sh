#!/bin/bash
# Builds the GPU program and packs it with its run script: build.sh <folder>
#
# Needs nvcc, and no GPU. There, with a driver and nothing else: <folder>/run.sh <folder for results>
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(cd "$here/../../native" && pwd)
mkdir -p "$1"
nvcc -std=c++20 -O2 -lineinfo -gencode "arch=${EPGEN_ARCH:-compute_90a,code=sm_90a}" -Werror all-warnings \
  -I "$native" -I "$here" "$here/gpu.cu" -cudart static -Xcompiler -static-libstdc++,-static-libgcc -o "$1/litmus-gpu"
cp "$here/run.sh" "$1/run.sh"
