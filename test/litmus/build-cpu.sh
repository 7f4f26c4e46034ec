#!/bin/bash
# Builds the CPU program: build-cpu.sh <folder>. There: <folder>/litmus-cpu [--seeds N] [--only NAME] [--table]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(cd "$here/../../native" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
compiler=(g++)
if command -v ccache >/dev/null; then compiler=(ccache g++); fi
flags=(-std=c++20 -O1 -Wall -Wextra -Werror -ffp-contract=off -DEPGEN_CPU "-I$native" "-I$here")

# One object for the emulator: its headers take most of the time.
find "$native/simt" -name '*.cpp' | sort | sed 's/.*/#include "&"/' >"$folder/emulator.cpp"
"${compiler[@]}" "${flags[@]}" -c "$folder/emulator.cpp" -o "$folder/emulator.o" &
emulator=$!
"${compiler[@]}" "${flags[@]}" -c "$here/cpu.cpp" -o "$folder/cpu.o"
wait $emulator
g++ -o "$folder/litmus-cpu" "$folder/cpu.o" "$folder/emulator.o" -l:libboost_context.a -lpthread
