#!/bin/sh
# Runs a packed folder: needs a POSIX system, xz, and for GPUs their driver. See --help.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
find "$here" -name '*.xz' -exec xz -d {} +
node=$here/bin/node
if [ -f "$node" ]; then chmod +x "$node"; else node=node; fi
exec "$node" --enable-source-maps "$here/test/gpu/harness/$(basename -- "$0").js" "$@"
