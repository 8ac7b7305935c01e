#!/usr/bin/env bash
# Train under Slurm, in a job that requeues itself and resumes.
#
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
#
# Submits a batch job with sbatch and returns. SIGUSR1, which Slurm sends GRACE seconds before the
# time limit, and SIGTERM, which it sends upon pre-emption, make all processes save and end with 75;
# the job then requeues itself and starts with --resume. Inside an allocation (salloc) or with
# SRUN=1 it runs in the foreground with srun instead, as one step, and the user requeues it.
#
# Variables: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), GRACE (120 seconds), LOGS (folder of
# the job's output, work_dirs), SBATCH_ARGS, SRUN_ARGS, PYTHON, MASTER_PORT; on CPUs GPUS=0, TASKS
# and TASKS_PER_NODE.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [arguments of train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
if [ "$GPUS" -lt "$GPUS_PER_NODE" ]; then
    GPUS_PER_NODE=$GPUS
fi
if [ "$GPUS" -gt 0 ]; then
    TASKS=$GPUS
    TASKS_PER_NODE=$GPUS_PER_NODE
    resources=(--gres=gpu:"$GPUS_PER_NODE")
else
    TASKS=${TASKS:?GPUS=0 needs TASKS, the number of processes}
    TASKS_PER_NODE=${TASKS_PER_NODE:-$TASKS}
    resources=()
fi
resources+=(--ntasks="$TASKS" --ntasks-per-node="$TASKS_PER_NODE")
resources+=(--cpus-per-task="${CPUS_PER_TASK:-5}")
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -n "${SRUN:-}" ] || [ -n "${SLURM_JOB_ID:-}" ]; then
    # SRUN_ARGS is a list of options, so it is split on purpose.
    # shellcheck disable=SC2086
    exec srun -p "$PARTITION" --job-name="$JOB_NAME" "${resources[@]}" --kill-on-bad-exit=1 \
        --signal="USR1@${GRACE:-120}" ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$folder/train.py" "$CONFIG" --launcher slurm "${@:4}"
fi

# Slurm opens the log before the job runs, so its folder must exist.
LOGS=${LOGS:-work_dirs}
mkdir -p "$LOGS"
# shellcheck disable=SC2086
exec sbatch -p "$PARTITION" --job-name="$JOB_NAME" "${resources[@]}" \
    --requeue --open-mode=append --signal="B:USR1@${GRACE:-120}" --output="$LOGS/%x-%j.log" \
    ${SBATCH_ARGS:-} "$folder/_slurm_job.sh" "$folder" "$CONFIG" "${@:4}"
