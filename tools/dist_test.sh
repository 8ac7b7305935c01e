#!/usr/bin/env bash
# Test on several GPUs (or CPU processes) with torchrun.
#
#   tools/dist_test.sh CONFIG WEIGHTS GPUS [arguments of test.py]
#
# On several nodes, start it on each with the same NNODES, MASTER_ADDR and PORT and its own
# NODE_RANK.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: $0 CONFIG WEIGHTS GPUS [arguments of test.py]" >&2
    exit 2
fi
. "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"
torchrun_here test.py "$3" "$1" "$2" "${@:4}"
