"""What computes the experts of a model in training: the same on every rank, from the configuration alone."""

from enum import Enum

from mai1.model.moe.compiled_experts import check_compilable, compile_experts
from mai1.model.moe.triton_experts import ask_triton_experts, check_triton
from mai1.model.transformer import ModelConfig, MoETransformer


class ExpertKernels(Enum):
    """What computes the experts."""

    torch = "torch"
    compiled = "compiled"  # experts.c, on CPUs
    triton = "triton"  # triton_kernels.py, on GPUs


def check_kernels(kernels: ExpertKernels, config: ModelConfig, *, key: str) -> None:
    """ValueError, which names the setting `key`, where they cannot be had."""
    if kernels is ExpertKernels.compiled:
        check_compilable(d_model=config.d_model, expert_width=config.moe.expert_width, key=key)
    if kernels is ExpertKernels.triton:
        check_triton(key=key)


def use_kernels(model: MoETransformer, kernels: ExpertKernels, *, key: str) -> None:
    """From now on; ValueError, which names the setting `key`, where they cannot be had.

    Those of our own are for experts that are trained whole.
    """
    layers = model.moe_layers().values()
    if kernels is ExpertKernels.torch or not layers:
        return
    assert all(layer.experts.gate_up.requires_grad for layer in layers)
    check_kernels(kernels, model.config, key=key)
    ask = ask_triton_experts
    if kernels is ExpertKernels.compiled:
        ask = compile_experts(d_model=model.config.d_model, expert_width=model.config.moe.expert_width, key=key)
    for layer in layers:
        layer.experts.kernels = ask
