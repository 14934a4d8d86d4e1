"""Adapters in a checkpoint: its model files hold W + scale * B A, what training goes on from are A and B themselves.

A and B lie among the optimizer state as fp32 masters, so that any topology reads them as it reads moments. The frozen W is
in no checkpoint: it is read again from where the run started, `checkpoint.init_from`, and `TrainerState.base` says by a
digest that it is the same.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from enum import Enum
from pathlib import Path

import torch
from torch import nn

from mai1.checkpoint.agreement import together
from mai1.checkpoint.verify import sha256_of, share_of_rank
from mai1.checkpoint.weights import INDEX, SavedTensors
from mai1.dist import World, gather_json
from mai1.engine.engine import Engine
from mai1.model.lora import A_SUFFIX, B_SUFFIX, LoraConfig, is_factor, merged


def merged_weights(engine: Engine) -> Iterator[tuple[str, torch.Tensor]]:
    """`Engine.weights` with the adapters in them: added in fp32 and rounded once. Every rank must go to the end."""
    state, lora = engine.model.state_dict(keep_vars=True), engine.model.lora
    for name, tensor in state.items():
        if is_factor(name):
            continue
        factors = [state[name + suffix] for suffix in (A_SUFFIX, B_SUFFIX) if name + suffix in state]
        with engine.whole([part for part in (tensor, *factors) if isinstance(part, nn.Parameter)]):
            parts = [part.detach() for part in (tensor, *factors)]
            yield name, _merged_as_stored(*parts, scale=lora.scale) if factors else parts[0]


def _merged_as_stored(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, scale: float) -> torch.Tensor:
    """Of stacked experts one after the other, so that fp32 copies of all of them never exist."""
    if weight.dim() == 2:
        return merged(weight, a, b, scale=scale).to(weight.dtype)
    whole = torch.empty_like(weight)
    for into, *parts in zip(whole, weight, a, b, strict=True):
        into.copy_(merged(*parts, scale=scale))
    return whole


def described(lora: LoraConfig | None, *, base: str) -> dict:
    """What a manifest says of adapters; nothing without any."""
    return {} if lora is None else {"lora": _plain(lora) | {"base": base}}


def check_same_adapters(directory: Path, manifest: dict, lora: LoraConfig | None) -> None:
    """ValueError where a checkpoint's adapters are not the ones a run has."""
    before, now = manifest.get("lora", {"rank": 0}), {"rank": 0} if lora is None else _plain(lora)
    for key, value in now.items():
        if before.get(key) != value:
            raise ValueError(
                f"lora.{key}={_as_text(value)} but {directory} was trained with lora.{key}={_as_text(before.get(key))}: "
                "resume with the old value, or start a new run with checkpoint.init_from"
            )


def _plain(lora: LoraConfig) -> dict:
    values = {key: [entry.value for entry in v] if isinstance(v, list) else v for key, v in asdict(lora).items()}
    return {key: value.value if isinstance(value, Enum) else value for key, value in values.items()}


def _as_text(value: object) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def weights_digest(directory: Path, world: World) -> str:
    """SHA-256 that names the weights of a checkpoint or Hugging Face directory; every rank must call this.

    It is taken over the name and SHA-256 of config.json and of every file that holds weights, each rank reading a share.
    """
    of_ranks = gather_json(together(lambda: _hashes(directory, world), world), world)
    hashes = {name: digest for found in of_ranks for name, digest in found.items()}
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def _hashes(directory: Path, world: World) -> dict[str, str]:
    """Those of this rank's share of the files."""
    names = sorted({"config.json", *SavedTensors(directory).file_of.values()})
    if (directory / INDEX).is_file():
        names.append(INDEX)
    sizes = {name: {"bytes": (directory / name).stat().st_size} for name in names}
    mine = share_of_rank(sizes, rank=world.rank, num_ranks=world.size)
    return {name: sha256_of(directory / name) for name in mine}
