"""LoRA computes what the model with W + scale * B A written into its weights computes, forward and backward."""

import pytest
import torch
from torch.func import functional_call

from mai1.model.adapt import adapt
from mai1.model.attention import KeyValueCache
from mai1.model.init import initialize
from mai1.model.lora import (
    A_SUFFIX,
    B_SUFFIX,
    LoraConfig,
    LoraScaling,
    LoraTarget,
    WholePart,
    factor_shapes,
    is_factor,
)
from mai1.model.moe import experts as experts_file
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.support.tiny import family_configs, tiny_model_config

ALL = list(LoraTarget)
CONFIGS = family_configs()


def adapted_model(config: ModelConfig, lora: LoraConfig, *, is_moved: bool = True) -> MoETransformer:
    """A model with adapters, by default already somewhere: B is no longer 0."""
    model = MoETransformer(config)
    initialize(model, seed=1)
    adapt(model, lora, seed=2)
    if is_moved:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(B_SUFFIX):
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


def tokens(num_rows: int = 2, length: int = 40) -> torch.Tensor:
    return torch.randint(0, 384, (num_rows, length), generator=torch.Generator().manual_seed(4))


def loss_of(output) -> torch.Tensor:
    """A number that depends on every output in its own way: logits, further tokens and the router's logits."""
    generator = torch.Generator().manual_seed(5)
    tensors = [output.logits_BTV, *output.further_BTD, *(r.logits_NE for r in output.routings.values())]
    return sum((x * torch.randn(x.shape, generator=generator)).sum() for x in tensors)


def dense_run(model: MoETransformer, lora: LoraConfig) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The slow way: a plain model with whole matrices W + scale * B A, differentiated by the factors."""
    plain = MoETransformer(model.config).train(model.training)
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    factors = {name: state.pop(name).requires_grad_() for name in list(state) if is_factor(name)}
    for name in [name.removesuffix(A_SUFFIX) for name in factors if name.endswith(A_SUFFIX)]:
        a, b = factors[name + A_SUFFIX], factors[name + B_SUFFIX]
        state[name] = state[name] + lora.alpha / lora.rank * torch.einsum("...or,...ri->...oi", b, a)
    output = functional_call(plain, state, (tokens(),))
    return output.logits_BTV, dict(zip(factors, torch.autograd.grad(loss_of(output), factors.values()), strict=True))


@pytest.mark.parametrize("has_few_rows", [False, True], ids=["expert loop", "grouped products"])
@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "deepseek_v3_full_queries", "qwen3_moe", "mixtral"])
def test_an_adapted_model_equals_one_with_the_delta_in_its_weights(family, has_few_rows, monkeypatch):
    monkeypatch.setattr(experts_file, "FEW_ROWS", 10**9 if has_few_rows else 0)
    lora = LoraConfig(rank=4, alpha=8.0, targets=ALL)
    model = adapted_model(CONFIGS[family], lora).train()
    expected, expected_grads = dense_run(model, lora)
    output = model(tokens())
    torch.testing.assert_close(output.logits_BTV, expected, atol=1e-5, rtol=1e-5)
    loss_of(output).backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert grads.keys() == expected_grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected_grads[name], atol=2e-4, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("target", ALL)
def test_each_target_adapts_its_own_matrices_alone(target):
    model = adapted_model(tiny_model_config(), LoraConfig(rank=4, targets=[target]))
    parts = {
        LoraTarget.attention: ".attention.",
        LoraTarget.router: ".router.",
        LoraTarget.experts: ".experts.",
        LoraTarget.dense: ".ffn.",
    }
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and all(is_factor(name) and parts[target] in name for name in trained)
    of_dense = [name for name in trained if ".shared." in name or ".ffn.gate_up" in name or ".ffn.down" in name]
    assert (len(of_dense) == len(trained)) == (target is LoraTarget.dense)


@pytest.mark.parametrize("part", list(WholePart))
def test_what_is_trained_whole_gets_gradients_beside_the_adapters(part):
    lora = LoraConfig(rank=4, targets=[LoraTarget.attention], trained_whole=[part])
    model = adapted_model(tiny_model_config(), lora)
    loss_of(model(tokens())).backward()
    whole = {name for name, p in model.named_parameters() if p.requires_grad and not is_factor(name)}
    wanted = {
        WholePart.router: {name for name in whole if name.endswith("router.weight")},
        WholePart.embeddings: {"embedding.weight", "unembedding.weight"},
        WholePart.norms: {name for name in whole if "norm" in name},
    }
    assert whole == wanted[part] and whole
    assert all(p.grad is not None for name, p in model.named_parameters() if name in whole)


@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "mixtral"])
def test_new_adapters_change_nothing_to_the_bit(family):
    base = MoETransformer(CONFIGS[family])
    initialize(base, seed=1)
    model = adapted_model(CONFIGS[family], LoraConfig(rank=4, targets=ALL), is_moved=False)
    for is_training in (True, False):
        with torch.no_grad():
            outputs = [m.train(is_training)(tokens()) for m in (base, model)]
        assert torch.equal(outputs[0].logits_BTV, outputs[1].logits_BTV)


def test_factors_come_from_seed_name_and_global_expert():
    config, lora = tiny_model_config(), LoraConfig(rank=4, targets=ALL)
    first, again = (dict(adapted_model(config, lora, is_moved=False).named_parameters()) for _ in range(2))
    factors = [name for name in first if name.endswith(A_SUFFIX)]
    assert all(torch.equal(first[name], again[name]) for name in factors)
    other = MoETransformer(config)
    adapt(other, lora, seed=3)
    assert not any(torch.equal(first[name], p) for name, p in other.named_parameters() if name in factors)
    half = MoETransformer(config)
    for layer in half.moe_layers().values():  # as on the second of two expert-parallel ranks
        layer.experts.first_expert = 4
        layer.experts.gate_up.data, layer.experts.down.data = (
            layer.experts.gate_up.data[4:],
            layer.experts.down.data[4:],
        )
    adapt(half, lora, seed=2)
    for name, parameter in half.named_parameters():
        if ".experts." in name and name.endswith(A_SUFFIX):
            assert torch.equal(parameter, first[name][4:])


def test_rows_of_a_have_the_variance_of_pefts():
    model = MoETransformer(tiny_model_config())
    adapt(model, LoraConfig(rank=64, targets=[LoraTarget.experts]), seed=2)
    a_ERD = model.moe_layers()[1].experts.gate_up_lora_a
    assert a_ERD.std().item() == pytest.approx(1 / (3 * 64) ** 0.5, rel=0.02)


@pytest.mark.parametrize(("scaling", "scale"), [(LoraScaling.standard, 32 / 64), (LoraScaling.rank_stabilized, 32 / 8)])
def test_rank_stabilised_scaling_divides_by_the_root_of_the_rank(scaling, scale):
    lora = LoraConfig(rank=64, alpha=32.0, scaling=scaling)
    assert lora.scale == scale
    assert adapted_model(tiny_model_config(), lora).layers[1].attention.query.lora_scale == scale


def test_gradients_of_expert_factors_are_finite_differences():
    lora = LoraConfig(rank=3, alpha=6.0, targets=[LoraTarget.experts])
    config = tiny_model_config(d_model=24, moe={"expert_width": 12, "num_experts": 4})
    layer = adapted_model(config, lora).double().moe_layers()[1]
    generator = torch.Generator().manual_seed(6)
    x_BTD = torch.randn(1, 30, 24, generator=generator, dtype=torch.float64)
    direction = torch.randn(1, 30, 24, generator=generator, dtype=torch.float64)

    def value() -> torch.Tensor:
        return (layer(x_BTD)[0] * direction).sum()

    value().backward()
    names = [name for name, _ in layer.experts.named_parameters() if is_factor(name)]
    for name in names:
        factor = getattr(layer.experts, name)
        step = torch.randn(factor.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            factor.add_(step, alpha=1e-5)
            above = value()
            factor.sub_(step, alpha=2e-5)
            below = value()
            factor.add_(step, alpha=1e-5)
        assert (factor.grad * step).sum().item() == pytest.approx(((above - below) / 2e-5).item(), rel=1e-6)


def test_an_expert_without_rows_gets_no_gradient():
    model = adapted_model(tiny_model_config(), LoraConfig(rank=4, targets=[LoraTarget.experts]))
    layer = model.moe_layers()[1]
    output, routing = layer(torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(7)))
    output.sum().backward()
    for name in ("gate_up_lora_a", "down_lora_b"):
        is_used_E = getattr(layer.experts, name).grad.flatten(1).any(1)
        assert torch.equal(is_used_E, routing.tokens_per_expert_E > 0)


def test_frozen_experts_without_adapters_pass_the_same_gradient_on():
    config = tiny_model_config()
    free, frozen = MoETransformer(config), MoETransformer(config)
    for model in (free, frozen):
        initialize(model, seed=1)
    adapt(frozen, LoraConfig(rank=4, targets=[LoraTarget.attention]), seed=2)
    x_BTD = torch.randn(4, 150, 64, generator=torch.Generator().manual_seed(8), requires_grad=True)
    outputs = [model.moe_layers()[1](x_BTD)[0] for model in (free, frozen)]
    grads = [torch.autograd.grad(output.square().sum(), x_BTD)[0] for output in outputs]
    assert torch.equal(*outputs) and torch.equal(*grads)


def test_latent_decoding_knows_the_adapter():
    model = adapted_model(CONFIGS["deepseek_v3"], LoraConfig(rank=4, targets=ALL)).eval()
    ids = tokens(1, 12)
    segments, positions = torch.zeros_like(ids), torch.arange(12)[None]
    cache = KeyValueCache(num_layers=3, capacity=12)
    with torch.no_grad():
        whole = model(ids).logits_BTV
        step = [
            model(
                ids[:, t : t + 1], positions_BT=positions[:, t : t + 1], segments_BT=segments[:, t : t + 1], cache=cache
            )
            for t in range(12)
        ]
    torch.testing.assert_close(torch.cat([part.logits_BTV for part in step], dim=1), whole, atol=1e-4, rtol=1e-4)


def test_shapes_of_factors_follow_the_weights():
    assert factor_shapes((8, 64, 32), rank=4) == ((8, 4, 32), (8, 64, 4))
    assert factor_shapes((64, 32), rank=4) == ((4, 32), (64, 4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank": -1}, "lora.rank=-1 must not be negative: use 0"),
        ({"alpha": 0.0}, "lora.alpha=0.0 must be above 0"),
        ({"targets": []}, r"lora.targets=\[\] leaves nothing to adapt: name attention, router"),
        ({"targets": [LoraTarget.router] * 2}, r"lora.targets=\[router,router\] names one thing twice"),
        ({"targets": ALL, "trained_whole": [WholePart.router]}, r"lora.trained_whole=\[router\] cannot stand beside"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_the_mend(values, message):
    with pytest.raises(ValueError, match=message):
        LoraConfig(**({"rank": 8} | values))
