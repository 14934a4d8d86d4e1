"""A whole model's weights as Hugging Face files, as a run on one rank writes them."""

from pathlib import Path

from mai1.checkpoint.model_plan import ModelFile, holding_all, plan_model_files
from mai1.checkpoint.weights import write_model_files
from mai1.model.transformer import MoETransformer


def write_model(folder: Path, model: MoETransformer, *, max_bytes: int = 10**9) -> list[ModelFile]:
    """Write all weights and the index; returns the files."""
    state = model.state_dict()
    plan = plan_model_files(model.config, [holding_all(model.config)], max_bytes=max_bytes, bytes_per_element=4)
    write_model_files(
        folder,
        plan,
        dtype_of=lambda tensor: state[tensor.name].dtype,
        read=lambda t: state[t.name].view(-1)[t.start : t.start + t.numel].view(t.shape),
    )
    return plan
