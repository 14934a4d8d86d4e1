"""The uniform mean of several checkpoints' weights, a better model than the last one at no cost in inference.

Model soups (Wortsman et al. 2022, arXiv 2203.05482) and, for checkpoints of one run, LAWA (Kaddour 2022, arXiv 2209.14981).
The result is a Hugging Face directory with a manifest. It has no optimizer state: it can be evaluated, generated from,
tuned and be a new run's `checkpoint.init_from`, but not be resumed.
"""

from pathlib import Path

import torch

from mai1.checkpoint import commit
from mai1.checkpoint.inference import read_model_config
from mai1.checkpoint.manifest import FORMAT, MANIFEST, VERSION, read_manifest
from mai1.checkpoint.model_plan import holding_all, plan_model_files
from mai1.checkpoint.names import TensorName
from mai1.checkpoint.tensor_file import write_bytes
from mai1.checkpoint.weights import INDEX, SavedTensors, write_model_files
from mai1.given_files import read_given

MAX_FILE_BYTES = 2**30
MAX_OTHER_BYTES = 2**27


def average_checkpoints(checkpoints: list[Path], output: Path) -> None:
    """Write the mean of the weights, summed in fp32 and rounded to their own type once, to a new directory.

    Everything but the weights comes from the last of `checkpoints`. Memory is that of two tensors. ValueError when they
    are of other shapes, fewer than two, or `output` exists.
    """
    if len(checkpoints) < 2:
        raise ValueError(f"{len(checkpoints)} checkpoint is no mean: name two or more, or a run that has kept as many")
    if output.exists():
        raise ValueError(f"output={output} exists: choose another directory")
    config = read_model_config(checkpoints[-1])
    for path in checkpoints:
        if read_model_config(path) != config:
            raise ValueError(f"{path} is another model than {checkpoints[-1]}: average checkpoints of one run")
    sources = [SavedTensors(path) for path in checkpoints]
    newest = sources[-1]

    def mean(tensor: TensorName) -> torch.Tensor:
        total = torch.zeros(tensor.shape)
        for source in sources:
            total += source.read(tensor)
        return (total / len(sources)).to(newest.read(tensor).dtype)

    plan = plan_model_files(config, [holding_all(config)], max_bytes=MAX_FILE_BYTES, bytes_per_element=4)
    stage = commit.make_stage(output)
    files = write_model_files(stage, plan, dtype_of=lambda tensor: newest.read(tensor).dtype, read=mean)
    for path in sorted(checkpoints[-1].iterdir()):
        if path.is_file() and path.suffix != ".safetensors" and path.name not in (MANIFEST, INDEX):
            files[path.name] = write_bytes(stage / path.name, read_given(path, max_bytes=MAX_OTHER_BYTES))
    (stage / "trainer").rmdir()
    commit.publish(stage, output, manifest=_manifest(checkpoints, files))


def _manifest(checkpoints: list[Path], files: dict[str, dict]) -> dict:
    """That of the newest, with no optimizer state and the origin of the weights."""
    newest = read_manifest(checkpoints[-1])
    origin = [{"path": str(path), "step": read_manifest(path)["step"]} for path in checkpoints]
    changes = {"format": FORMAT, "version": VERSION, "optimizer_step": 0, "heldout_loss": None, "averaged_from": origin}
    return newest | changes | {"files": dict(sorted(files.items())), "optimizer": {}}
