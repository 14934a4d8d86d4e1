#!/usr/bin/env bash
# Start a mai1 command on N processes of this machine. `launch/local.sh --help` says how.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: launch/local.sh N COMMAND [key=value ...]

Starts `mai1 COMMAND` on N processes of this machine, one for each GPU, or N on the CPU.

  launch/local.sh 2 pretrain model=tiny engine.expert_parallel=2
  launch/local.sh 8 pretrain model=small run.name=first batch.sequences_per_step=64

Ctrl-C or SIGTERM asks every process for a checkpoint; the same command again goes on from there.
OMP_NUM_THREADS, if unset, becomes this machine's cores divided by N. The checkout's .venv is used if there is one.
TEXT
}

mistake() {
    echo "launch/local.sh: $1" >&2
    exit 2
}

case "${1:-}" in
    "" | -h | --help)
        usage
        exit 0
        ;;
esac

processes=$1
shift
[[ $processes =~ ^[1-9][0-9]{0,4}$ ]] || mistake "N=$processes must be a count of processes: launch/local.sh 2 pretrain"
(($# > 0)) || mistake "no COMMAND after N=$processes: launch/local.sh $processes pretrain"

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -x $checkout/.venv/bin/torchrun ]]; then
    PATH=$checkout/.venv/bin:$PATH
fi
command -v torchrun >/dev/null || mistake "torchrun is not on PATH: run \`make smoke\` once, or activate an environment with torch"

# The checkout is importable from any working directory; runs/ and data/ are relative to the working directory.
export PATH PYTHONPATH="$checkout${PYTHONPATH:+:$PYTHONPATH}"

# Without a limit each process would take every core, and N of them would fight for the caches.
if [[ -z ${OMP_NUM_THREADS:-} ]]; then
    cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    export OMP_NUM_THREADS=$((cores / processes > 1 ? cores / processes : 1))
fi

# torchrun kills what has not ended this many seconds after a signal; its default of 30 is short for a large checkpoint.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600}

# `exec`: signals reach torchrun itself, which passes them on to every process.
exec torchrun --standalone --nproc-per-node "$processes" -m mai1 "$@"
