"""Which checkpoints stay: the last ones, every n-th step's for ever, and the best by held-out loss."""

import math
from dataclasses import dataclass
from pathlib import Path

from mai1.checkpoint import commit
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.verify import checkpoints_in


@dataclass(frozen=True, slots=True)
class Retention:
    """What to keep. `keep=0` keeps all."""

    keep: int
    keep_every: int = 0
    keep_best: int = 0


def to_delete(folder: Path, retention: Retention, *, newest: Path) -> list[Path]:
    """Checkpoints that need not stay, oldest last.

    `newest` is one that is known to be sound. It always stays; so do any of later steps, which were found damaged when
    the run went on from an earlier one, until their step is reached again.
    """
    if not retention.keep:
        return []
    known = [path for path in checkpoints_in(folder) if path.name <= newest.name]
    facts = {path: _facts(path) for path in known}
    staying = {newest, folder / (folder / "latest").resolve().name, *known[: retention.keep]}
    staying |= {path for path in known if facts[path].step == -1}
    if retention.keep_every:
        staying |= {path for path in known if facts[path].step % retention.keep_every == 0}
    by_loss = sorted((path for path in known if facts[path].loss < math.inf), key=lambda path: facts[path].loss)
    return [path for path in known if path not in staying.union(by_loss[: retention.keep_best])]


def prune(folder: Path, retention: Retention, *, newest: Path) -> list[str]:
    """Delete what need not stay; returns what could not be deleted, and why."""
    failures = []
    for path in to_delete(folder, retention, newest=newest):
        try:
            commit.discard(path)
        except OSError as error:
            failures.append(f"{path} could not be deleted ({error})")
    return failures


@dataclass(frozen=True, slots=True)
class _Facts:
    step: int
    loss: float


def _facts(path: Path) -> _Facts:
    """Step and held-out loss; step -1 for a manifest that cannot be read, which is nothing to delete unasked."""
    try:
        manifest = read_manifest(path)
    except ValueError:
        return _Facts(-1, math.inf)
    loss = manifest.get("heldout_loss")
    return _Facts(manifest["step"], loss if isinstance(loss, float) and math.isfinite(loss) else math.inf)
