#!/usr/bin/env bash
# Run the tests that take too long for every change: tests/long, in the environment of run_tests.sh.
#
# Usage: scripts/run_long_tests.sh [arguments of pytest]    for example: -k memory
#   MSSDF_VENV=DIR           the environment to use or make (default: .venv)
#   MSSDF_LONG_SECONDS=N     length of the run whose memory is watched (default: 3600)
#   MSSDF_LONG_OUT=DIR       where curves and tables go (default: work_dirs/long)
# Ends with pytest's closing line; the exit status is pytest's.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. scripts/_environment.sh

venv=${MSSDF_VENV:-.venv}
make_test_environment "$venv"
use_test_environment "$venv"

# A named file is run alone, options alone run them all.
targets=(tests/long)
for argument in "$@"; do
    case $argument in tests/long/*) targets=() ;; esac
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$python" -m pytest "${targets[@]}" "$@" </dev/null 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
say 'done'
tail -n 1 "$log"
exit "$status"
