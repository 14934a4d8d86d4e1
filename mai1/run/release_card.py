"""What a release's card is told: the model's facts and the run, with those it started from, that made it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mai1 import __version__
from mai1.checkpoint.families import family_of, to_hf_config
from mai1.checkpoint.manifest import MANIFEST, read_manifest
from mai1.model.attention import AttentionKind
from mai1.model.flops import count_parameters
from mai1.model.transformer import ModelConfig
from mai1.report.model_card import ReleaseFacts, write_model_card
from mai1.report.records import read_ancestors, read_run
from mai1.run.directory import read_config


def facts_of(source: Path, model: ModelConfig) -> dict[str, Any]:
    """The fields of `ReleaseFacts` that the checkpoint tells."""
    run, counts = _run_of(source), count_parameters(model)
    stage = read_run(run).run.get("stage") if run is not None else None
    manifest = read_manifest(source) if (source / MANIFEST).is_file() else {}
    return {
        "architecture": family_of(model).value,
        "model_type": to_hf_config(model, dtype="float32", end_of_text_id=0, stop_ids=[], pad_id=0)["model_type"],
        "parameters": {"total": counts.total, "active": counts.active},
        "shape": _shape(model),
        "step": manifest.get("step", 0),
        "is_chat": stage not in (None, "pretrain"),
        "versions": {"mai1": __version__} | {package: version(package) for package in ("torch", "transformers")},
    }


def write_card(directory: Path, facts: ReleaseFacts, source: Path) -> list[Path]:
    """Write the card of a checkpoint's release, and its curve; returns their paths."""
    run = _run_of(source)
    return write_model_card(directory, facts, run=run, configs=_configs(run))


def _run_of(checkpoint: Path) -> Path | None:
    """The directory of the run that a checkpoint belongs to."""
    run = checkpoint.parent.parent
    return run if (run / "run.json").is_file() else None


def _configs(run: Path | None) -> dict[str, dict]:
    """Configurations of a run and those it started from, by their directories; a broken one is none."""
    if run is None:
        return {}
    newest, found = read_run(run), {}
    for records in [newest, *read_ancestors(newest)]:
        path = records.directory.resolve()
        try:
            found[str(path)] = read_config(path / "config.yaml")
        except (OSError, ValueError):
            continue
    return found


def _shape(model: ModelConfig) -> dict[str, int | str]:
    """Sizes as the card lists them."""
    attention, moe = model.attention, model.moe
    is_latent = attention.kind is AttentionKind.latent
    return {
        "layers": model.num_layers,
        "of which dense": model.num_dense_layers,
        "layers for further tokens": model.num_mtp_layers,
        "width": model.d_model,
        "attention heads": f"{attention.num_heads}, latent" if is_latent else attention.num_heads,
        **({} if is_latent else {"key-value heads": attention.num_kv_heads}),
        "routed experts per layer": moe.num_experts,
        "experts per token": moe.top_k,
        "shared experts": moe.num_shared_experts,
        "width of an expert": moe.expert_width,
        "router": moe.scores.value,
        "vocabulary": model.vocab_size,
        "longest context": model.max_positions,
    }
