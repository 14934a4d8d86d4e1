"""What `mai1 grow` does: open the source, make the plan, write the result and say how far it is from the source."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import yaml

from mai1.checkpoint import commit
from mai1.checkpoint.checkpoint import TrainerState, read_state
from mai1.checkpoint.described import check_described
from mai1.checkpoint.families import family_of
from mai1.checkpoint.inference import load_model, read_model_config, resolve_checkpoint
from mai1.checkpoint.manifest import MANIFEST, lineage_of, read_manifest
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.verify import problems_in
from mai1.growth import methods
from mai1.growth.apart import rows_apart
from mai1.growth.dense import (
    Shape,
    check_dense_described,
    config_of_result,
    dense_names,
    is_dense,
    load_dense,
    read_json,
)
from mai1.growth.difference import difference
from mai1.growth.grown import Grown
from mai1.growth.plan import GrowthPlan
from mai1.growth.source import Source
from mai1.growth.upcycle import grown_config, upcycle
from mai1.growth.use import measure_use, most_used, router_inputs
from mai1.growth.write import grown_state, write_grown
from mai1.model.flops import count_parameters
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.run.directory import flat, plain, write_atomically
from mai1.run.grow import GrowConfig, Method, Rows
from mai1.run.grow_text import read_rows


@dataclass
class Opened:
    """The source of a growth."""

    directory: Path
    config: ModelConfig
    """Of a dense source that of the result, whose `dense_width` is the source's."""
    is_dense: bool
    source: Source
    manifest: dict
    """Empty for a plain Hugging Face directory."""
    state: TrainerState | None

    @cached_property
    def model(self) -> MoETransformer:
        """The source itself, whole, in fp32; only what measures or compares asks for it."""
        return load_dense(self.config, self.source) if self.is_dense else load_model(self.directory)


def grow(config: GrowConfig, output: Path) -> Iterator[str]:
    """Write the result; yields what a person should know. ValueError, with nothing written, for what cannot be done."""
    if output.exists():
        raise ValueError(f"output={output} exists: choose another directory")
    opened = open_source(config)
    plan = plan_of(config, opened)
    family_of(plan.config)
    entry = _entry(config, opened, plan)
    lineage, said = [*lineage_of(opened.directory), entry], []

    def finish(stage: Path) -> dict:
        if config.compared_rows:
            rows = read_rows(config, opened.directory, config.text, vocab_size=opened.config.vocab_size)
            found = difference(opened.model, load_model(stage), rows[: config.compared_rows])
            said.append(f"{found}")
            entry["kl"] = found.kl
        return {"lineage": lineage}

    _write(opened, plan, output, lineage=lineage, finish=finish)
    counts = [count_parameters(model).total for model in (opened.config, plan.config)]
    before = "dense" if opened.is_dense else f"{counts[0]:,} parameters"
    yield f"{output}: {family_of(plan.config).value}, experts {entry['experts']}, {before} -> {counts[1]:,} parameters"
    yield from said
    if (output / "config.yaml").is_file():
        old, new = flat(plain(opened.config)), flat(plain(plan.config))
        changes = [f"model.{key}={value}" for key, value in new.items() if old[key] != value]
        yield f"to go on, the run's own settings with run.name={output.name} and {' '.join(changes)}"


def open_source(config: GrowConfig) -> Opened:
    """The checkpoint to grow; one of ours is verified first."""
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    if config.method is Method.upcycle and is_dense(hf := read_json(directory / "config.json")):
        shape = Shape(
            num_experts=config.experts,
            top_k=config.top_k or 2,
            expert_width=config.expert_width,
            num_shared_experts=config.shared_experts,
            dense_layers=config.dense_layers,
            is_sigmoid=config.scores is Scores.sigmoid,
        )
        model = config_of_result(hf, shape, where=str(directory / "config.json"))
        check_dense_described(model, directory)
        return Opened(directory, model, True, Source(directory, dense_names(model), {}), {}, None)
    model = read_model_config(directory)
    check_described(model, directory)
    manifest, state = {}, None
    if (directory / MANIFEST).is_file():
        manifest = read_manifest(directory)
        if problems := problems_in(directory, manifest):
            raise ValueError(f"checkpoint={directory} is damaged ({'; '.join(problems[:3])}): use another one")
        state = read_state(directory) if "trainer/state.json" in manifest["files"] else None
        state = (
            None if state is not None and _has_adapters(state) else state
        )  # moments are of adapters, which are merged
    table = manifest["optimizer"] if state is not None else {}
    source = Source(directory, tensor_names(model), table, num_ranks=manifest.get("world_size", 1))
    return Opened(directory, model, False, source, manifest, state)


def _has_adapters(state: TrainerState) -> bool:
    lora = state.run.get("lora")
    return isinstance(lora, dict) and bool(lora.get("rank"))


def plan_of(config: GrowConfig, opened: Opened) -> GrowthPlan:
    """What the method makes of this source."""
    model, altered = opened.config, {"noise": config.noise, "redrawn": config.redrawn}
    match config.method:
        case Method.upcycle:
            plan = upcycle(model, _upcycled(config, opened), is_all_dense=opened.is_dense, **altered)
        case Method.split:
            plan = methods.split(model, parts=config.parts)
        case Method.clone:
            plan = methods.clone(model, copies=config.copies, top_k=config.top_k, **altered)
        case Method.prune:
            _refuse_further_prediction(config, model)
            use = measure_use(opened.model, _rows(config, opened, config.text))
            kept = {layer: sorted(most_used(counts, config.experts)) for layer, counts in use.items()}
            plan = methods.prune(model, kept=kept)
        case Method.add:
            plan = _added(config, opened)
    plan.seed = config.seed
    return plan


def _upcycled(config: GrowConfig, opened: Opened) -> ModelConfig:
    if opened.is_dense:
        return opened.config
    return grown_config(
        opened.config,
        num_experts=config.experts,
        top_k=config.top_k or 2,
        expert_width=config.expert_width,
        num_shared_experts=config.shared_experts,
        dense_layers=config.dense_layers,
    )


def _added(config: GrowConfig, opened: Opened) -> GrowthPlan:
    model, is_apart = opened.config, config.rows is Rows.apart
    if is_apart or not config.sources:
        _refuse_further_prediction(config, model)
    if config.sources:
        origins = dict.fromkeys(model.moe_layers, config.sources)
    else:
        use = measure_use(opened.model, _rows(config, opened, config.new_text or config.text))
        origins = {
            layer: most_used(counts, min(config.experts, model.moe.num_experts)) for layer, counts in use.items()
        }
    origins = {layer: [ids[i % len(ids)] for i in range(config.experts)] for layer, ids in origins.items()}
    settings = {"is_unchosen": not is_apart, "noise": config.noise, "redrawn": config.redrawn}
    plan = methods.add(model, origins=origins, **settings)
    if is_apart:
        _hold_apart(plan, config, opened, origins)
    return plan


def _hold_apart(plan: GrowthPlan, config: GrowConfig, opened: Opened, origins: dict[int, list[int]]) -> None:
    """Fit what is added to the new rows; layer by layer, all on what the source's routers see."""
    old, new = (router_inputs(opened.model, _rows(config, opened, text)) for text in (config.text, config.new_text))
    num_old = plan.source.moe.num_experts
    for layer, growth in plan.layers.items():
        router = opened.model.moe_layers()[layer].router
        limits = {"margin": config.margin, "allowed_share": config.allowed_share}
        fitted = rows_apart(router, old[layer], new[layer], copied=origins[layer], **limits)
        growth.shift_ED = torch.zeros(plan.config.moe.num_experts, plan.config.d_model)
        growth.shift_ED[num_old:] = fitted.shift_D
        growth.bias_shift_E = torch.zeros(plan.config.moe.num_experts)
        growth.bias_shift_E[num_old:] = fitted.bias


def _write(opened: Opened, plan: GrowthPlan, output: Path, *, lineage: list[dict], finish: Callable) -> None:
    """A model, or a run that can be resumed: then the run's whole directory appears at once."""
    base = {"step": 0, "tokens": 0, "dtype": _dtype_of(opened.directory)} | opened.manifest
    settings = {"source": opened.directory, "manifest": base, "finish": finish}
    grown, state = Grown(plan, opened.source), opened.state
    if state is None:
        write_grown(grown, output, state=None, **settings)
        return
    is_pretraining = all(isinstance(state.run.get(section), dict) for section in ("model", "run", "checkpoint"))
    state = grown_state(state, plan, lineage)
    if not is_pretraining:
        write_grown(grown, output, state=state, **settings)
        return
    state.run = _settings_of_result(state.run, plan, output)
    stage = commit.stage_of(output)
    commit.remove(stage)
    checkpoint = stage / "checkpoints" / f"step_{state.step:08d}"
    write_grown(grown, checkpoint, state=state, **settings)
    commit.point_latest(checkpoint)
    write_atomically(stage / "config.yaml", yaml.safe_dump(state.run, sort_keys=False))
    os.rename(stage, output)
    commit.sync_directory(output.parent)


def _settings_of_result(run: dict, plan: GrowthPlan, output: Path) -> dict:
    """The run's configuration, changed in what the growth changed."""
    old, new = plain(plan.source), plain(plan.config)
    model = run["model"] | {key: value for key, value in new.items() if value != old[key]}
    named = run["run"] | {"name": output.name, "directory": str(output.parent)}
    return run | {"model": model, "run": named, "checkpoint": run["checkpoint"] | {"init_from": ""}}


def _entry(config: GrowConfig, opened: Opened, plan: GrowthPlan) -> dict:
    """What the lineage says of this growth."""
    before = "dense" if opened.is_dense else f"{plan.source.moe.num_experts} top-{plan.source.moe.top_k}"
    experts = f"{before} -> {plan.config.moe.num_experts} top-{plan.config.moe.top_k}"
    entry = {"method": config.method.value, "checkpoint": str(opened.directory), "step": opened.manifest.get("step", 0)}
    return entry | {"experts": experts} | ({"new_experts": plan.new_experts} if plan.new_experts else {})


def _rows(config: GrowConfig, opened: Opened, text: list[str]) -> list[list[int]]:
    return read_rows(config, opened.directory, text, vocab_size=opened.config.vocab_size)


def _refuse_further_prediction(config: GrowConfig, model: ModelConfig) -> None:
    if model.num_mtp_layers:
        raise ValueError(
            f"method={config.method.value} goes by the use of experts on text, but those of model.num_mtp_layers="
            f"{model.num_mtp_layers} are used in training alone: set num_nextn_predict_layers to 0 in config.json, or for "
            "add give sources=[...] with rows=unchosen"
        )


def _dtype_of(directory: Path) -> str:
    content = read_json(directory / "config.json")
    return str(content.get("dtype") or content.get("torch_dtype") or "float32")
