"""Proof that a checkpoint of adapters is what it says: the weights it began with, plus scale * B A, and nothing else.

Legend: R rank, I inputs and O outputs of one Hugging Face matrix.
"""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.checkpoint.adapters import weights_digest
from mai1.checkpoint.inference import load_model, read_model_config, read_stored_config
from mai1.checkpoint.manifest import MANIFEST, read_manifest
from mai1.checkpoint.names import TensorName, logical_shapes, tensor_names
from mai1.checkpoint.optimizer_state import MASTER, StateReader
from mai1.checkpoint.saved_tensors import SavedTensors
from mai1.checkpoint.weights import read_weights
from mai1.dist import World
from mai1.model.adapt import adapt
from mai1.model.lora import (
    A_SUFFIX,
    B_SUFFIX,
    LoraConfig,
    LoraScaling,
    LoraTarget,
    WholePart,
    adapted_by,
    factor_shapes,
    is_factor,
)
from mai1.model.transformer import MoETransformer

MOVES_WITH_THE_LOAD = "selection_bias"
BAR_DELAY_S = 2.0


@dataclass(slots=True)
class MergeProof:
    """What was compared with the base, by Hugging Face's names."""

    adapted: list[str] = field(default_factory=list)
    """Tensors that are the base's plus their adapters' product, within the rounding of fp32 and of their type."""
    unchanged: list[str] = field(default_factory=list)
    """Those that are the base's to the bit."""
    trained_whole: list[str] = field(default_factory=list)
    """Those of which nothing can be said: trained themselves, or selection biases."""
    max_difference: float = 0.0
    """Largest distance of a merged weight from what it should be."""
    is_rounded: bool = False
    """Whether merged weights are stored in a type smaller than fp32."""


@torch.no_grad()
def prove_merged(directory: Path, base: Path) -> MergeProof:
    """Compare every tensor of a checkpoint with adapters with its base; ValueError names the first that is not as it should be.

    The base must have the digest that the checkpoint states. One tensor at a time, in fp64.
    """
    _check_base(directory, base)
    factors, proof = _Factors(directory), MergeProof()
    stored, before, config = SavedTensors(directory), SavedTensors(base), read_stored_config(directory)
    tensors = [tensor for tensor in tensor_names(config) if not tensor.is_repeated]
    for tensor in tqdm(tensors, desc="adapters", delay=BAR_DELAY_S, leave=False):
        found = stored.read(tensor)
        start = before.read(tensor).to(found.dtype)
        if factors.adapt(tensor.name):
            difference = _difference(
                found, start, *factors.of(tensor, found.dtype), where=f"{directory}: {tensor.hf_name}"
            )
            proof.max_difference = max(proof.max_difference, difference)
            proof.is_rounded |= found.dtype.itemsize < torch.float32.itemsize
            proof.adapted.append(tensor.hf_name)
        elif factors.leave_to_training(tensor.name):
            proof.trained_whole.append(tensor.hf_name)
        elif torch.equal(found, start):
            proof.unchanged.append(tensor.hf_name)
        else:
            raise ValueError(
                f"{directory}: {tensor.hf_name} has no adapter but is not that of {base}: use another checkpoint"
            )
    return proof


@torch.no_grad()
def load_adapted(directory: Path, base: Path) -> tuple[MoETransformer, MoETransformer]:
    """The model as it was trained, the base's matrices with adapters beside them, and as it was saved, merged: both in fp32.

    What was trained itself is the checkpoint's in both. Layers for further tokens are left out.
    """
    factors, merged = _Factors(directory), load_model(directory)
    model = MoETransformer(replace(read_model_config(directory), num_mtp_layers=0))
    read_weights(base, model)
    adapt(model, factors.lora, seed=0)
    whole = merged.state_dict()
    for name, value in model.state_dict().items():
        dtype = factors.dtype_of[adapted_by(name)]
        if is_factor(name):
            value.copy_(factors.read(name, dtype).view(value.shape))
        else:
            value.copy_(value.to(dtype) if factors.adapt(name) else whole[name])
    return model.eval(), merged


class _Factors:
    """The adapters of a checkpoint as training had them: their fp32 masters, rounded to the type of the weights."""

    def __init__(self, directory: Path) -> None:
        manifest, config = read_manifest(directory), read_stored_config(directory)
        self.lora, self._directory = _lora_of(directory, manifest), directory
        self._reader = StateReader(directory, manifest["optimizer"], num_ranks=manifest["world_size"])
        self._shapes = logical_shapes(config)
        self._trained = {name for names in manifest["optimizer"].values() for name in names if not is_factor(name)}
        self._num_held = sum(entry["bytes"] for entry in manifest["files"].values()) // 4
        stored = SavedTensors(directory)
        self.dtype_of = {t.name: stored.dtype_of(t) for t in tensor_names(config) if not t.is_repeated}

    def adapt(self, name: str) -> bool:
        """Whether a logical tensor has an adapter."""
        return self._reader.has(MASTER, name + A_SUFFIX)

    def leave_to_training(self, name: str) -> bool:
        """Whether it moved by itself: it has moments, or is moved by the experts' load."""
        return name in self._trained or MOVES_WITH_THE_LOAD in name

    def read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """A whole factor, flat, rounded to a type and given in fp32."""
        shape_of_a, shape_of_b = factor_shapes(self._shapes[adapted_by(name)], rank=self.lora.rank)
        return self._range(name, 0, math.prod(shape_of_a if name.endswith(A_SUFFIX) else shape_of_b), dtype)

    def of(self, tensor: TensorName, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """scale * B `[O, R]` and A `[R, I]` of a Hugging Face matrix in fp64."""
        rank, (width_out, width_in) = self.lora.rank, self._shapes[tensor.name][-2:]
        expert, within = divmod(tensor.start, width_out * width_in)
        rows, first_row = tensor.shape[0], expert * width_out + within // width_in
        a_RI = self._range(tensor.name + A_SUFFIX, expert * rank * width_in, rank * width_in, dtype)
        b_OR = self._range(tensor.name + B_SUFFIX, first_row * rank, rows * rank, dtype)
        return b_OR.view(rows, rank).double() * self.lora.scale, a_RI.view(rank, width_in).double()

    def _range(self, name: str, start: int, count: int, dtype: torch.dtype) -> torch.Tensor:
        if count > self._num_held:  # before memory is taken for it
            raise ValueError(
                f"{self._directory / MANIFEST}: lora.rank={self.lora.rank} is more than its files hold: use another checkpoint"
            )
        values = torch.empty(count)
        self._reader.read(MASTER, name, start, values)
        return values.to(dtype).float()


def _check_base(directory: Path, base: Path) -> None:
    alone, manifest = World(rank=0, size=1, local_rank=0, device=torch.device("cpu")), read_manifest(directory)
    if weights_digest(base, alone) != manifest["lora"]["base"]:
        raise ValueError(f"base={base} is not the model whose adapters {directory} holds: give the one it began with")


def _lora_of(directory: Path, manifest: dict) -> LoraConfig:
    kept = manifest["lora"]
    try:
        return LoraConfig(
            rank=kept["rank"],
            alpha=kept["alpha"],
            scaling=LoraScaling(kept["scaling"]),
            targets=[LoraTarget(name) for name in kept["targets"]],
            trained_whole=[WholePart(name) for name in kept["trained_whole"]],
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{directory / MANIFEST}: lora is none of ours ({error}): use another checkpoint") from None


def _difference(
    found_OI: torch.Tensor, start_OI: torch.Tensor, scaled_b_OR: torch.Tensor, a_RI: torch.Tensor, *, where: str
) -> float:
    """How far a merged weight is from where it should be; ValueError beyond what rounding explains.

    Of fp32 sums of R products, (R + 3) * eps of the sum of their sizes (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., eq. 3.5), and of the weight's own type, one rounding.
    """
    expected_OI = start_OI.double() + scaled_b_OR @ a_RI
    size_OI = start_OI.double().abs() + scaled_b_OR.abs() @ a_RI.abs()
    own = torch.finfo(found_OI.dtype)
    allowed_OI = (len(a_RI) + 3) * torch.finfo(torch.float32).eps * size_OI
    allowed_OI += own.eps * (expected_OI.abs() + own.tiny)
    difference_OI = (found_OI.double() - expected_OI).abs()
    if not (difference_OI <= allowed_OI).all():
        raise ValueError(
            f"{where} is not its base plus its adapter, by {difference_OI.max():.1e}: use another checkpoint"
        )
    return float(difference_OI.max())
