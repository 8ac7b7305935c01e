#!/usr/bin/env bash
# Train on several GPUs (or CPU processes) with torchrun.
#
#   tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#
# SIGINT, SIGTERM and SIGUSR1 are passed on to the processes. The exit codes 75 and 130 mean that
# the run stopped as requested with everything saved; the same command with --resume resumes it.
# On several nodes, start it on each with the same NNODES, MASTER_ADDR and PORT and its own
# NODE_RANK.
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
. "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"
torchrun_here train.py "$2" "$1" "${@:3}"
