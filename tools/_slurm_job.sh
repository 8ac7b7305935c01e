#!/usr/bin/env bash
# What tools/slurm_train.sh submits: one step over all nodes; requeue if it was told to stop.
#
#   _slurm_job.sh TOOLS_FOLDER CONFIG [arguments of train.py]
#
# Slurm runs a copy of this file from its spool: hence the folder as an argument.
set -uo pipefail

folder=$1
shift
requeue_code=75 # mssdf.engine.interruption.REQUEUE
asked=''
step=''

# Slurm signals this script alone (--signal=B:...), which passes it on to every process of the step.
pass_on() {
    asked=$1
    echo "$(date '+%F %T') SIG$1: saving, then requeueing"
    if [ -n "$step" ]; then
        kill -s "$1" "$step" 2>/dev/null
    fi
}
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM

MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)}
# another port for each job: two may share a node
MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
export MASTER_ADDR MASTER_PORT

echo "$(date '+%F %T') job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $SLURM_JOB_NODELIST"
# SRUN_ARGS is a list of options: split on purpose.
# shellcheck disable=SC2086
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$folder/train.py" "$@" --launcher slurm --resume &
step=$!
if [ -n "$asked" ]; then # before there was a step
    kill -s "$asked" "$step" 2>/dev/null
fi

# A signal ends a wait, not the step; asked for once more, wait tells the step's exit code.
while wait "$step"; kill -0 "$step" 2>/dev/null; do :; done
wait "$step"
code=$?

# scancel sends SIGTERM as well: it is saved for that, but not requeued
if scontrol show job "$SLURM_JOB_ID" 2>/dev/null | grep -q 'JobState=CANCELLED'; then
    exit "$code"
fi
# srun returns the highest exit code, and a rank killed on the way has a higher one than those that
# saved: a job that was asked to stop is requeued whatever it returned, unless it had finished.
if [ "$code" -eq "$requeue_code" ] || { [ -n "$asked" ] && [ "$code" -ne 0 ]; }; then
    echo "$(date '+%F %T') stopped with code $code: requeueing job $SLURM_JOB_ID"
    scontrol requeue "$SLURM_JOB_ID"
    exit "$requeue_code"
fi
exit "$code"
