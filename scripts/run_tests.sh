#!/usr/bin/env bash
# Make the environments that the checks need and run the checks: all of them, or one step.
#
# Usage: scripts/run_tests.sh [style|types|runtime|tests] [arguments of pytest]
#   style     ruff, the order of imports, the words of docstrings, the site (no torch needed)
#   types     mypy, against the runtime requirements
#   runtime   a pre-training step with nothing but the runtime requirements
#   tests     pytest, mmcv's compiled ops included
#   MSSDF_VENV=DIR           the environment to use or make (default: .venv)
#   MSSDF_RUNTIME_VENV=DIR   one with nothing but the runtime requirements (default: .venv-runtime)
#   MSSDF_CHECKS_VENV=DIR    one for style and types where the first is not there
#                            (default: .venv-checks)
#   MSSDF_TEST_PROCESSES=N   processes of pytest (default: 2)
# Ends with pytest's closing line; the exit status is 0 only if every check passed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. scripts/_environment.sh

venv=${MSSDF_VENV:-.venv}
runtime=${MSSDF_RUNTIME_VENV:-.venv-runtime}
step=all
case ${1:-} in style | types | runtime | tests) step=$1 && shift ;; esac

failed=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" </dev/null || failed+=("$name")
}

# once NAME COMMAND...: run COMMAND, unless something of that name has run.
made=' '
once() {
    case $made in *" $1 "*) return ;; esac
    made+="$1 "
    "${@:2}"
}

# use_checks_environment: set $checks to the interpreter of ruff, mypy and MkDocs. The environment
# of the tests has them; where it is neither there nor needed, a small one is enough.
use_checks_environment() {
    if [ "$step" = all ] || [ -f "$venv/.mssdf-tests" ]; then
        once tests make_test_environment "$venv"
        checks=$(cd "$venv/bin" && pwd)/python
    else
        local small=${MSSDF_CHECKS_VENV:-.venv-checks}
        once checks make_checks_environment "$small"
        checks=$(cd "$small/bin" && pwd)/python
    fi
}

check_style() {
    use_checks_environment
    check 'ruff check' "$checks" -m ruff check .
    check 'ruff format' "$checks" -m ruff format --check .
    check 'imports' "${checks%/*}/lint-imports" --no-logo
    check_words
    check_site
}

# The test of words reads the sources as text: it needs neither the shared fixtures nor torch.
check_words() {
    local words=tests/test_project/test_words.py
    [ -f "$words" ] || return 0
    check 'words' "$checks" -m pytest -q --noconftest --override-ini filterwarnings= "$words"
}

check_site() {
    local site
    site=$(mktemp -d)
    NO_MKDOCS_2_WARNING=1 check 'site' "$checks" -m mkdocs build --strict --quiet --site-dir "$site"
    rm -rf "$site"
}

check_types() {
    use_checks_environment
    once runtime make_runtime_environment "$runtime" "$venv"
    check 'mypy' "$checks" -m mypy --python-executable "$runtime/bin/python"
}

check_runtime() {
    once runtime make_runtime_environment "$runtime" "$venv"
    PYTHONPATH=$PWD OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} \
        check 'runtime only' "$runtime/bin/python" \
        tests/test_project/runtime_only_step.py configs/pretrain/mssdf_vit-t-p16_quick-start.py
}

check_tests() {
    once tests make_test_environment "$venv"
    once runtime make_runtime_environment "$runtime" "$venv"
    use_test_environment "$venv"
    MSSDF_RUNTIME_PYTHON=$(cd "$runtime/bin" && pwd)/python
    export MSSDF_RUNTIME_PYTHON

    say 'pytest'
    # a file's tests stay in one process: they share fixtures that take long
    "$python" -m pytest -n "${MSSDF_TEST_PROCESSES:-2}" --dist loadfile "$@" </dev/null 2>&1 |
        tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed+=('pytest')
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
case $step in
all)
    check_style
    check_types
    check_tests "$@"
    ;;
*) "check_$step" "$@" ;;
esac

say "done; failed checks: ${failed[*]:-none}"
# pytest's closing line; what its processes print when they end may follow it in the log
grep -E '^=+ .* in [0-9.]+s.* =+$' "$log" | tail -n 1
[ ${#failed[@]} -eq 0 ]
