#!/bin/bash
# Builds the test program of one spec for the emulator: build-cpu.sh <generated folder> <program>
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(cd "$here/../../native" && pwd)
generated=$(cd "$1" && pwd)
program=$2
namespace=$(sed -n 's/^namespace epgen::\([a-z0-9_]*\) {$/\1/p' "$generated/layout.cuh" | head -1)
slotted=$(grep -c 'm.num_rank_counts' "$generated/launch.cpp" || true)

flags=(-std=c++20 -O1 -Wall -Wextra -Werror -ffp-contract=off -DEPGEN_CPU "-DEPGEN_SPEC=$namespace"
  "-DEPGEN_SLOTTED=$slotted" -I "$native" -I "$generated" -I "$here")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# One object for the emulator: its headers take most of the time.
find "$native/simt" -name '*.cpp' ! -name raw_access.cpp | sort | sed 's/.*/#include "&"/' > "$scratch/emulator.cpp"
objects=()
for source in "$scratch/emulator.cpp" "$here/cpu.cpp" "$generated"/{*.cu,launch.cpp}; do
  object="$scratch/$(basename "$source").o"
  g++ "${flags[@]}" -x c++ -c "$source" -o "$object"
  objects+=("$object")
done
mkdir -p "$(dirname "$program")"
g++ -o "$program" "${objects[@]}" -l:libboost_context.a -lpthread -Wl,-z,now
