"""What was measured of the model a run starts from, kept in its directory: measured once, and never of another model."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mai1.checkpoint.agreement import together
from mai1.dist import World, gather_json


@dataclass(kw_only=True, slots=True)
class StartFigures:
    """One file of figures, and what they are of."""

    path: Path
    about: dict
    """What decides them: the model, the data, how it became ids."""
    mend: str
    """What a person can do where the file of a run that has begun is gone or of something else."""
    world: World

    @property
    def key(self) -> str:
        """Equal keys mean equal figures."""
        return hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()

    def get(self, measure: Callable[[], dict[str, torch.Tensor]], *, step: int) -> dict[str, torch.Tensor]:
        """The figures, on every rank: read, or before the first step measured and written. Every rank must call this.

        ValueError, on every rank, where steps have been made and the file does not hold the figures of the start.
        """
        problem = gather_json(self._problem() if self.world.is_main else None, self.world)[0]
        if problem is None:
            return together(self._read, self.world)
        if step:
            raise ValueError(
                f"{self.path} {problem}, and the model it was measured of has been trained since: {self.mend}"
            )
        figures = {name: tensor.cpu().contiguous() for name, tensor in measure().items()}
        together(lambda: self.world.is_main and self._write(figures), self.world)
        return figures

    def _problem(self) -> str | None:
        """Why the file cannot be used; None if it can."""
        if not self.path.is_file():
            return "is missing"
        try:
            with safe_open(self.path, framework="pt") as opened:
                return None if (opened.metadata() or {}).get("key") == self.key else "is of another model or other data"
        except (SafetensorError, OSError) as error:
            return f"cannot be read ({error})"

    def _read(self) -> dict[str, torch.Tensor]:
        try:
            with safe_open(self.path, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            raise ValueError(f"{self.path} cannot be read ({error}): {self.mend}") from None

    def _write(self, figures: dict[str, torch.Tensor]) -> None:
        fresh = self.path.with_name(f".{self.path.name}.new")
        save_file(figures, fresh, metadata={"key": self.key, "about": json.dumps(self.about, sort_keys=True)})
        os.replace(fresh, self.path)


def model_identity(directory: Path) -> str:
    """SHA-256 that tells models apart: of a mai1 checkpoint its manifest, which has every file's hash; of another directory
    its config.json and, of each weights file, size, first and last megabyte."""
    manifest = directory / "manifest.json"
    if manifest.is_file():
        return hashlib.sha256(manifest.read_bytes()).hexdigest()
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in sorted(directory.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with open(path, "rb") as file:
            digest.update(file.read(2**20))
            file.seek(max(0, size - 2**20))
            digest.update(file.read())
    return digest.hexdigest()
