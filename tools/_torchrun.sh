# Sourced by dist_train.sh and dist_test.sh: run a script of this folder in several processes.
#
# On several nodes, start it on each with the same NNODES, MASTER_ADDR and PORT and its own
# NODE_RANK.

torchrun_here() {  # SCRIPT PROCESSES [arguments of the script]
    local script=$1 processes=$2
    local folder
    folder=$(dirname "${BASH_SOURCE[0]}")
    exec "${PYTHON:-python}" "$folder/torchrun.py" \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --nproc_per_node="$processes" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        "$folder/$script" --launcher pytorch "${@:3}"
}
