"""LoRA in a stage: what it cannot be used with, the frozen model it begins from, and that this is still the same one."""

from dataclasses import dataclass
from pathlib import Path

from mai1.checkpoint.adapters import weights_digest
from mai1.checkpoint.checkpoint import TrainerState, read_state
from mai1.dist import World, sum_over_ranks
from mai1.engine.engine import Engine
from mai1.model.expert_kernels import ExpertKernels
from mai1.model.flops import count_parameters, training_flops_per_choice, training_flops_per_token
from mai1.model.lora import LoraTarget, WholePart
from mai1.model.moe.balance import BalanceMethod
from mai1.optim.config import Method
from mai1.run.config import StageConfig, TuningConfig
from mai1.train.router_policy import RouterPolicy


def check_lora(config: StageConfig) -> None:
    """Refuse what adapters cannot be used with, by key and with the mend."""
    lora = config.lora
    if not lora.is_on:
        return
    has_router = LoraTarget.router in lora.targets or WholePart.router in lora.trained_whole
    balance = config.balance
    loss = f"balance.z_loss_weight={balance.z_loss_weight}" if balance.z_loss_weight else ""
    if balance.method not in (BalanceMethod.none, BalanceMethod.bias):
        loss = f"balance.method={balance.method.value}"
    policy = config.router.policy if isinstance(config, TuningConfig) else RouterPolicy.aux
    embeddings, stages = WholePart.embeddings in lora.trained_whole, config.engine.pipeline_parallel
    refused = {
        "checkpoint.init_from, which is empty: adapters change a model that was trained before": (
            not config.checkpoint.init_from,
            "name one",
        ),
        f"router in lora.targets or lora.trained_whole beside router.policy={policy.value}, which keeps the routers": (
            has_router and policy is not RouterPolicy.aux,
            "use router.policy=aux with a balancing loss, or leave router out",
        ),
        f"engine.expert_kernels={config.engine.expert_kernels.value}, which computes experts that are trained whole": (
            config.engine.expert_kernels is not ExpertKernels.torch,
            "use engine.expert_kernels=torch",
        ),
        "optim.method=muon, which moves whole matrices and not factors of their change": (
            config.optim.method is Method.muon,
            "use optim.method=adamw",
        ),
        f"{loss}, which would move nothing, as the routers are frozen": (
            bool(loss) and not has_router,
            "add router to lora.targets or lora.trained_whole, or use balance.method=none and balance.z_loss_weight=0",
        ),
        f"lora.trained_whole=[embeddings] and engine.pipeline_parallel={stages}: stages would train different kinds of "
        "parameters": (embeddings and stages > 1, "use engine.pipeline_parallel=1, or leave embeddings out"),
    }
    for what, (is_refused, mend) in refused.items():
        if is_refused:
            raise ValueError(f"lora.rank={lora.rank} cannot be used with {what}: {mend}")


def digest_of_base(config: StageConfig, init_from: Path, resume_from: Path | None, world: World) -> str:
    """The digest of the weights that adapters begin from, read anew by every launch; every rank must call this.

    Empty without adapters. ValueError when these are not the weights that the run to resume began from.
    """
    if not config.lora.is_on:
        return ""
    base = weights_digest(init_from, world)
    if resume_from is not None and read_state(resume_from).base != base:
        raise ValueError(
            f"checkpoint.init_from={init_from} is no longer the model whose adapters {resume_from} holds: name the step it "
            f"was, or a copy, or start a new run with checkpoint.init_from={resume_from}, where they are merged"
        )
    return base


@dataclass(frozen=True, slots=True)
class TrainingFlops:
    """What training costs, by the convention of model/flops.py."""

    per_token: int
    """Forward and backward of one token."""
    per_choice: int
    """Those of one routed expert for one token."""


def training_flops(engine: Engine, *, context: int, world: World) -> TrainingFlops:
    """Of the whole model or, with adapters, without the gradients of frozen matrices, a third of a matrix's cost, but with
    the factors' own products. Every rank must call this."""
    config = engine.model.config
    per_token, per_choice = training_flops_per_token(config, context=context), training_flops_per_choice(config)
    if engine.model.lora is None:
        return TrainingFlops(per_token, per_choice)
    mine = [0.0, 0.0]
    for fragment in engine.fragments():
        mine[".experts." in fragment.name] += fragment.master.numel()
    others, of_experts = sum_over_ranks(mine, world)
    of_expert = of_experts / (config.moe.num_experts * len(config.moe_layers))
    active = others + of_expert * config.moe.top_k * len(config.moe_layers)
    of_matrices = training_flops_per_token(config, context=0)
    return TrainingFlops(per_token - of_matrices // 3 + 6 * round(active), per_choice * 2 // 3 + 6 * round(of_expert))


def say_what_is_trained(engine: Engine, state: TrainerState, world: World) -> None:
    """How few parameters adapters train; every rank must call this."""
    lora = engine.model.lora
    if lora is None:
        return
    (num_trained,) = sum_over_ranks([float(sum(f.master.numel() for f in engine.fragments()))], world)
    total = count_parameters(engine.model.config).total
    whole = f", {', '.join(part.value for part in lora.trained_whole)} whole" if lora.trained_whole else ""
    world.say(
        f"LoRA of rank {lora.rank} on {', '.join(target.value for target in lora.targets)}{whole}: "
        f"{num_trained / 1e6:.2f} M parameters are trained, {num_trained / total:.2%} of the model's; its weights are frozen "
        f"(digest {state.base[:12]})"
    )
