#!/bin/sh
# Compiles the probe: build.sh [OUTPUT]. Needs nvcc; runs where a driver and two or more Hopper GPUs are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "${NVCC:-nvcc}" -std=c++20 -O2 -gencode arch=compute_90a,code=sm_90a -cudart static \
  -Xcompiler -static-libstdc++,-static-libgcc "$here/probe.cu" -o "${1:-probe}"
