"""What computes the experts of a model in training: the same on every rank, from the configuration alone."""

from mai1.model.moe.compiled_experts import ExpertKernels, compile_experts
from mai1.model.transformer import MoETransformer


def use_kernels(model: MoETransformer, kernels: ExpertKernels, *, key: str) -> None:
    """From now on; ValueError, which names the setting `key`, where the compiled ones cannot be had.

    They are for experts that are trained whole.
    """
    layers = model.moe_layers().values()
    if kernels is ExpertKernels.torch or not layers:
        return
    assert all(layer.experts.gate_up.requires_grad for layer in layers)
    library = compile_experts(d_model=model.config.d_model, expert_width=model.config.moe.expert_width, key=key)
    for layer in layers:
        layer.experts.library = library
