#!/usr/bin/env bash
# Job of tools/slurm_train.sh: one step over all nodes, requeued after a request to stop.
#
#   _slurm_job.sh TOOLS_FOLDER CONFIG [arguments of train.py]
#
# Slurm runs a copy of this file from its spool, so the folder is an argument.
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
# Each job has its own port, as two jobs may share a node.
MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
export MASTER_ADDR MASTER_PORT

echo "$(date '+%F %T') job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1))," \
    "on $SLURM_JOB_NODELIST"
# SRUN_ARGS is a list of options, so it is split on purpose.
# shellcheck disable=SC2086
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$folder/train.py" "$@" --launcher slurm --resume &
step=$!
if [ -n "$asked" ]; then # before there was a step
    kill -s "$asked" "$step" 2>/dev/null
fi

# A signal ends a wait, not the step; a second wait returns the step's exit code.
while wait "$step"; kill -0 "$step" 2>/dev/null; do :; done
wait "$step"
code=$?

# scancel sends SIGTERM as well: the run is saved then, but not requeued.
if scontrol show job "$SLURM_JOB_ID" 2>/dev/null | grep -q 'JobState=CANCELLED'; then
    exit "$code"
fi
# srun returns the highest exit code, and a rank that was killed has a higher one than those that
# saved. A job that was asked to stop is therefore requeued with any code, unless it had finished.
if [ "$code" -eq "$requeue_code" ] || { [ -n "$asked" ] && [ "$code" -ne 0 ]; }; then
    echo "$(date '+%F %T') stopped with code $code: requeueing job $SLURM_JOB_ID"
    scontrol requeue "$SLURM_JOB_ID"
    exit "$requeue_code"
fi
exit "$code"
