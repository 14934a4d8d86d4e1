"""Slurm's commands as far as an engine uses them: sbatch runs the elements of an array one after the other, here."""

import os
from pathlib import Path

SBATCH = """#!/bin/bash
here=$(dirname "$0")
number=$(($(find "$here" -name 'submitted.*' | wc -l) + 1))
printf '%s\\0' "$@" >"$here/submitted.$number"
[[ ! -e $here/refuses ]] || { echo "sbatch: error: invalid partition specified: nope" >&2; exit 1; }
for argument; do
    case $argument in
        --array=*) last=${argument#--array=0-}; last=${last%%%*} ;;
        --output=*) output=${argument#--output=}; output=${output%/%a.log}; output=${output//%%/%} ;;
    esac
done
touch "$here/queued.$number"
(
    for element in $(seq 0 "$last"); do
        [[ ! -e $here/starts_nothing && -e $here/queued.$number ]] || continue
        env -i PATH="$PATH" SLURM_ARRAY_TASK_ID="$element" bash "${@: -1}" >>"$output/$element.log" 2>&1
    done
    rm -f "$here/queued.$number"
) >/dev/null 2>&1 &
echo "$number;cluster"
"""

SQUEUE = """#!/bin/bash
here=$(dirname "$0")
for argument; do case $argument in --jobs=*) number=${argument#--jobs=} ;; esac; done
if [[ -e $here/is_out_of_reach ]]; then
    rm "$here/is_out_of_reach"; echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1
fi
[[ -e $here/queued.$number ]] || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }
[[ -e $here/states ]] && cat "$here/states" || echo "RUNNING|None"
"""

SCANCEL = """#!/bin/bash
here=$(dirname "$0")
echo "$*" >>"$here/cancelled"
rm -f "$here/queued.${@: -1}"
"""


class FakeSlurm:
    """A folder to be put on PATH. Files in it change what the commands do: refuses, starts_nothing, is_out_of_reach, states."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, content in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)

    @property
    def path(self) -> str:
        return f"{self.folder}:{os.environ['PATH']}"

    def submitted(self) -> list[list[str]]:
        """The arguments of each sbatch so far."""
        files = sorted(self.folder.glob("submitted.*"), key=lambda path: int(path.suffix[1:]))
        return [path.read_text().split("\0")[:-1] for path in files]

    def cancelled(self) -> list[str]:
        """The arguments of each scancel so far."""
        path = self.folder / "cancelled"
        return path.read_text().splitlines() if path.exists() else []
