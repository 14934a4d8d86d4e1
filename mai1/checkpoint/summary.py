"""What a checkpoint is, for people and for `json=true`: read from its small files, no tensor is opened."""

import math
from pathlib import Path

from mai1.checkpoint.checkpoint import read_state
from mai1.checkpoint.families import family_of
from mai1.checkpoint.inference import read_model_config
from mai1.checkpoint.manifest import MANIFEST, is_average, lineage_of, read_manifest
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.optimizer_state import MASTER, method_of
from mai1.model.flops import count_parameters
from mai1.model.transformer import ModelConfig


def summary_of(directory: Path) -> dict:
    """Everything known of a checkpoint, ours or a Hugging Face directory, as JSON-able values."""
    model = read_model_config(directory)
    counts = count_parameters(model)
    found = {
        "path": str(directory),
        "architecture": family_of(model).value,
        "parameters": {"total": counts.total, "active": counts.active, "by group": _parameters_by_group(model)},
    }
    if not (directory / MANIFEST).is_file():
        return found
    manifest = read_manifest(directory)
    found |= {key: manifest[key] for key in ("step", "tokens")}
    found["heldout_loss"] = manifest.get("heldout_loss")
    found["weights"] = manifest.get("dtype")
    found["bytes"] = _bytes_by_kind(manifest)
    if lineage := lineage_of(directory):
        found["lineage"] = lineage
    if is_average(manifest):
        return found | {"averaged_from": manifest["averaged_from"]}
    if "trainer/state.json" not in manifest["files"]:
        return found
    if lora := manifest.get("lora"):
        found["lora"] = lora | {"parameters": _num_trained(manifest["optimizer"])}
    sizes = ("world_size", "expert_parallel", "sequence_parallel", "pipeline_parallel")
    state = read_state(directory)
    return found | {
        "topology": {key: manifest.get(key, 1) for key in sizes}
        | {"zero_stage": _of_run(state.run, "engine", "zero_stage")},
        "optimizer": {"method": method_of(manifest["optimizer"].keys()), "updates": manifest["optimizer_step"]},
        "data": _data_position(state.run, state.step + state.data_offset, state.data_fingerprint),
        "setbacks": {key: getattr(state, key) for key in ("num_skipped", "num_rollbacks", "data_offset")},
        "seconds": state.seconds,
    }


def lines_of(summary: dict) -> list[str]:
    """The summary as a person reads it."""
    parameters = summary["parameters"]
    groups = ", ".join(f"{name} {count:,}" for name, count in parameters["by group"].items())
    rows = {
        "architecture": summary["architecture"],
        "parameters": f"{parameters['total']:,} in all, {parameters['active']:,} active",
        "of which": groups,
    }
    if "step" in summary:
        loss = summary["heldout_loss"]
        rows["step"] = f"{summary['step']:,} after {summary['tokens']:,} tokens"
        rows["held-out loss"] = "not measured at this step" if loss is None else f"{loss:.4f}"
        rows["weights"] = str(summary["weights"])
        rows["size"] = ", ".join(f"{kind} {size:,} bytes" for kind, size in summary["bytes"].items())
    for number, entry in enumerate(summary.get("lineage", []), start=1):
        rows[f"growth {number}"] = ", ".join(f"{key} {value}" for key, value in entry.items())
    if lora := summary.get("lora"):
        rows["trained"] = (
            f"LoRA of rank {lora['rank']}, alpha {lora['alpha']:g}, on {', '.join(lora['targets'])}"
            + "".join(f", {part} whole" for part in lora["trained_whole"])
            + f": {lora['parameters']:,} parameters, for the frozen weights {lora['base'][:12] or 'of no known digest'}"
        )
    if "averaged_from" in summary:
        rows["mean of"] = ", ".join(source["path"] for source in summary["averaged_from"])
    if "topology" in summary:
        rows["written by"] = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in summary["topology"].items())
        rows["optimizer"] = f"{summary['optimizer']['method']}, {summary['optimizer']['updates']:,} updates"
        data = summary["data"]
        rows["data"] = f"next sample {data['next_sample']}, rows {data['fingerprint']}"
        skipped, rollbacks, offset = summary["setbacks"].values()
        rows["setbacks"] = f"{skipped} skipped steps, {rollbacks} rollbacks, which left out the data of {offset} steps"
    return [summary["path"], *(f"  {name:<14}{value}" for name, value in rows.items())]


def _parameters_by_group(model: ModelConfig) -> dict[str, int]:
    groups = {"experts": 0, "shared experts": 0, "attention": 0, "embeddings": 0, "other": 0}
    for tensor in tensor_names(model):
        if not tensor.is_repeated:
            groups[_group_of(tensor.name)] += math.prod(tensor.shape)
    return groups


def _group_of(name: str) -> str:
    parts = name.split(".")
    for part, group in (("experts", "experts"), ("shared", "shared experts"), ("attention", "attention")):
        if part in parts:
            return group
    return "embeddings" if parts[0] in ("embedding", "unembedding") else "other"


def _bytes_by_kind(manifest: dict) -> dict[str, int]:
    sizes = {"weights": 0, "optimizer": 0, "other files": 0}
    for name, entry in manifest["files"].items():
        is_tensors = name.endswith(".safetensors")
        kind = "optimizer" if name.startswith("trainer/") and is_tensors else "weights" if is_tensors else "other files"
        kind = "other files" if name.startswith("adapter/") else kind
        sizes[kind] += entry["bytes"]
    return sizes | {"all": sum(sizes.values())}


def _num_trained(table: dict) -> int:
    """Parameters that have optimizer state."""
    names = table.get("exp_avg") or table.get(MASTER, {})
    return sum(numel * count for runs in names.values() for _, numel, count, *_ in runs)


def _data_position(run: dict, step: int, fingerprint: str) -> dict:
    per_step = _of_run(run, "batch", "sequences_per_step")
    return {"next_sample": step * per_step if per_step else None, "fingerprint": fingerprint}


def _of_run(run: dict, section: str, key: str) -> int | None:
    values = run.get(section)
    return values.get(key) if isinstance(values, dict) else None
