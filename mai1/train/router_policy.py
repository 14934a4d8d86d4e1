"""What becomes of the routers while a model is tuned: they learned where tokens go from far more text than tuning has."""

from dataclasses import dataclass
from enum import Enum

from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.router import Router
from mai1.model.transformer import MoETransformer


class RouterPolicy(Enum):
    """What of a router moves."""

    frozen = "frozen"  # nothing
    aux = "aux"  # its weights, held in balance by a loss
    bias = "bias"  # its selection bias, by the load


@dataclass(kw_only=True, slots=True)
class RouterConfig:
    policy: RouterPolicy = RouterPolicy.frozen
    """frozen (weights and selection bias stay) | aux (weights are trained, with the loss that balance.method names) | bias
    (weights stay, the selection bias follows the load: balance.method=bias)."""
    probe_tokens: int = 2048
    """Held-out tokens on which routing is compared with the start model's, about; 0 compares nothing."""

    def __post_init__(self) -> None:
        if self.probe_tokens < 0:
            raise ValueError(f"router.probe_tokens={self.probe_tokens} must not be negative: use 0 to compare nothing")


def check_router_policy(policy: RouterPolicy, balance: BalanceConfig) -> None:
    """Refuse balancing that would move nothing, or push what the policy says stays: no loss is silently without effect."""
    given, method = f"router.policy={policy.value}", balance.method
    match policy:
        case RouterPolicy.frozen if method is not BalanceMethod.none:
            raise ValueError(
                f"{given} leaves balance.method={method.value} nothing to move: use balance.method=none, or "
                f"router.policy={'bias' if method is BalanceMethod.bias else 'aux'}"
            )
        case RouterPolicy.bias if method is not BalanceMethod.bias:
            raise ValueError(f"{given} with balance.method={method.value} would move nothing: use balance.method=bias")
        case RouterPolicy.aux if method in (BalanceMethod.none, BalanceMethod.bias):
            raise ValueError(
                f"{given} trains the routers with a balancing loss, which balance.method={method.value} is none: use "
                "balance.method=global_loss or sequence_loss"
            )
    if policy is not RouterPolicy.aux and balance.z_loss_weight:
        raise ValueError(
            f"{given} keeps the routers' weights, so balance.z_loss_weight={balance.z_loss_weight} cannot shrink their "
            "logits: use balance.z_loss_weight=0, or router.policy=aux"
        )


def apply_router_policy(model: MoETransformer, policy: RouterPolicy) -> None:
    """Take the routers out of training, unless the policy trains them; after adapters were added, before the engine.

    ValueError where adapters and the policy contradict each other, so that neither is silently without effect.
    """
    routers = [module for module in model.modules() if isinstance(module, Router)]
    is_trained = [any(parameter.requires_grad for parameter in router.parameters()) for router in routers]
    if policy is RouterPolicy.aux and not all(is_trained):
        raise ValueError(
            "router.policy=aux trains the routers, of which the adapters leave nothing to train: add router to lora.targets "
            "or to lora.trained_whole, or use router.policy=frozen with balance.method=none"
        )
    if policy is not RouterPolicy.aux and model.lora is not None and any(is_trained):
        raise ValueError(
            f"router.policy={policy.value} keeps the routers' weights, but lora.targets or lora.trained_whole has router: "
            "take it out, or use router.policy=aux"
        )
    if policy is not RouterPolicy.aux:
        for router in routers:
            router.requires_grad_(False)
