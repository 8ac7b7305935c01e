#!/usr/bin/env bash
# Make the environments of the tests, mmcv's compiled ops included, and run every check.
#
# Usage: scripts/run_tests.sh [arguments of pytest]
#   MSSDF_VENV=DIR           the environment to use or make (default: .venv)
#   MSSDF_RUNTIME_VENV=DIR   a second one, with nothing but the runtime requirements (default: .venv-runtime)
# Ends with pytest's closing line; the exit status is 0 only if every check passed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. scripts/_environment.sh

venv=${MSSDF_VENV:-.venv}
runtime=${MSSDF_RUNTIME_VENV:-.venv-runtime}

make_test_environment "$venv"

make_venv "$runtime"
share_torch "$venv" "$runtime"
install_mmcv_without_ops "$runtime"
install_requirements "$runtime" runtime requirements/runtime.txt
relax_opencv "$runtime"

use_test_environment "$venv"
MSSDF_RUNTIME_PYTHON=$(cd "$runtime/bin" && pwd)/python
export MSSDF_RUNTIME_PYTHON

failed=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" </dev/null || failed+=("$name")
}
check 'ruff check' "$python" -m ruff check .
check 'ruff format' "$python" -m ruff format --check .
check 'mypy' "$python" -m mypy
check 'imports' "${python%/*}/lint-imports" --no-logo

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say 'pytest'
"$python" -m pytest "$@" </dev/null 2>&1 | tee "$log"
[ "${PIPESTATUS[0]}" -eq 0 ] || failed+=('pytest')

say "done; failed checks: ${failed[*]:-none}"
tail -n 1 "$log"
[ ${#failed[@]} -eq 0 ]
