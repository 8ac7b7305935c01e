#!/usr/bin/env bash
# Make an environment and pre-train on the imagery that ships, by one command within minutes.
#
# Usage: tools/quick_start.sh [arguments of tools/train.py]
#   MSSDF_VENV=DIR   environment to use or make (default: .venv)
#   MSSDF_WORK=DIR   work directory of the run (default: work_dirs/quick_start)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/_environment.sh

config=configs/pretrain/mssdf_vit-t-p16_quick-start.py
venv=${MSSDF_VENV:-.venv}
work=${MSSDF_WORK:-work_dirs/quick_start}

make_venv "$venv"
install_torch "$venv"
case "$(cat "$venv/.mssdf-mmcv" 2>/dev/null)" in
*" $(pinned onedl-mmcv)") say "$venv: mmcv is there" ;;
*) install_prebuilt_mmcv "$venv" || install_mmcv_without_ops "$venv" ;;
esac
install_requirements "$venv" runtime requirements/runtime.txt
relax_opencv "$venv"
install_project "$venv"

say "pre-training: $config -> $work (minutes on two cores; Ctrl-C stops, --resume goes on)"
started=$SECONDS
"$venv/bin/python" tools/train.py "$config" --work-dir "$work" "$@" ||
    die 'the training stopped (see the lines above)'
say "trained in $((SECONDS - started)) s"
"$venv/bin/python" tools/analysis_tools/summarize_run.py "$work" ||
    die "the run in $work is not complete"
