"""Multi-token prediction: what each depth sees and predicts, against each document alone and against one rank."""

from pathlib import Path

import pytest
import torch

from mai1.checkpoint.inference import read_model_config
from mai1.checkpoint.weights import read_weights
from mai1.data.batch import Batch
from mai1.dist import World
from mai1.loss import LossConfig
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig
from mai1.model.multi_token import ahead
from mai1.model.rope import rotation_at
from mai1.model.transformer import ModelOutput, MoETransformer
from tests.model.test_transformer import DOCUMENTS, packed
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer

DEPTHS = 2


def make_model(**changes) -> MoETransformer:
    """Weights five times the usual size, norms of all kinds; in training mode, as only then further tokens are predicted."""
    model = MoETransformer(tiny_model_config(init_std=0.1, num_mtp_layers=DEPTHS, **changes))
    initialize(model, seed=2)
    generator = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.data += 0.3 * torch.randn(weight.shape, generator=generator)
    return model.train()


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    return make_model()


def output_of(model: MoETransformer, batch: Batch) -> ModelOutput:
    return model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)


def spans(documents: list[bytes]) -> list[tuple[int, int]]:
    """Where each document begins and ends in a row of them."""
    ends = [sum(len(text) + 1 for text in documents[: i + 1]) for i in range(len(documents))]
    return list(zip([0, *ends], ends, strict=False))


@torch.no_grad()
def further_of_document(model: MoETransformer, ids: list[int]) -> list[torch.Tensor]:
    """Each depth's hidden states of one document, one position shorter every time (arXiv 2412.19437, eq. 21-22)."""

    def normalized(x_TD: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
        return x_TD / (x_TD.square().mean(-1, keepdim=True) + model.config.norm_eps).sqrt() * norm.weight

    hidden_TD, found = model(torch.tensor([ids])).hidden_BTD[0], []
    for module in model.mtp:
        num_positions = max(len(ids) - module.depth, 0)
        pairs = [
            torch.cat([
                normalized(model.embedding.weight[ids[t + module.depth]], module.embedding_norm),
                normalized(hidden_TD[t], module.hidden_norm),
            ])
            for t in range(num_positions)
        ]  # fmt: skip
        if not pairs:
            found.append(torch.zeros(0, model.config.d_model))
            continue
        merged_BTD = (torch.stack(pairs) @ module.merge.weight.T)[None]
        rotation = rotation_at(torch.arange(num_positions)[None], rope_dim=16, theta=model.config.rope_theta)
        x_BTD, _ = module.block(merged_BTD, rotation, None, None, None)
        hidden_TD = normalized(x_BTD[0], module.final_norm)
        found.append(hidden_TD)
    return found


@torch.no_grad()
def test_each_depth_of_packed_documents_equals_each_document_alone(model: MoETransformer):
    output = output_of(model, packed(DOCUMENTS, padding=5))
    assert len(output.further_BTD) == DEPTHS
    for text, (start, _) in zip(DOCUMENTS, spans(DOCUMENTS), strict=True):
        for further_BTD, alone_TD in zip(
            output.further_BTD, further_of_document(model, [END_OF_TEXT, *text]), strict=True
        ):
            found_TD = further_BTD[0, start : start + len(alone_TD)]
            torch.testing.assert_close(found_TD, alone_TD, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changed", range(4))
@torch.no_grad()
def test_changing_one_document_never_changes_what_is_predicted_in_another(model: MoETransformer, changed: int):
    documents = [text.swapcase() if i == changed else text for i, text in enumerate(DOCUMENTS)]
    before, after = (output_of(model, packed(texts)).further_BTD for texts in (DOCUMENTS, documents))
    for depth, (one_BTD, other_BTD) in enumerate(zip(before, after, strict=True), start=1):
        for i, (start, end) in enumerate(spans(DOCUMENTS)):
            difference = (one_BTD - other_BTD)[0, start : max(start, end - depth)].abs()
            if i != changed:
                assert (difference < 1e-5).all()
            elif len(difference):
                assert difference.max() > 1e-2


@torch.no_grad()
def test_each_depth_sees_just_as_many_tokens_more(model: MoETransformer):
    tokens_BT = torch.tensor([[END_OF_TEXT, *b"no look ahead"]])
    before = model(tokens_BT).further_BTD
    tokens_BT[0, 8] += 1
    after = model(tokens_BT).further_BTD
    for depth, (one_BTD, other_BTD) in enumerate(zip(before, after, strict=True), start=1):
        changes_T = (one_BTD - other_BTD)[0].abs().amax(1)[: tokens_BT.shape[1] - depth]
        assert (changes_T[: 8 - depth] < 1e-5).all() and (changes_T[8 - depth :] > 1e-4).all()


@pytest.mark.parametrize("depth", [1, 2, 3, 9, 12])
def test_what_is_ahead_equals_a_loop(depth: int):
    segments_BT = torch.tensor([[0, 0, 0, 0, 1, 2, 2, 2, -1, -1], [0] * 10, [-1] * 10])
    for x_BT in (torch.arange(1, 31).view(3, 10), torch.ones(3, 10, dtype=torch.bool), torch.rand(3, 10) + 1):
        found_BT = ahead(x_BT, segments_BT, depth=depth)
        assert found_BT.dtype is x_BT.dtype
        for row in range(3):
            for t in range(10):
                segment = segments_BT[row, t]
                is_there = t + depth < 10 and segment == segments_BT[row, t + depth] != -1
                assert found_BT[row, t] == (x_BT[row, t + depth] if is_there else 0)


def test_the_routing_of_a_depth_counts_where_it_predicts(model: MoETransformer):
    batch = packed(DOCUMENTS, padding=5)
    output = output_of(model, batch)
    assert sorted(output.routings) == sorted(model.moe_layers()) == [1, 2, 3, 4]
    lengths = [len(text) + 1 for text in DOCUMENTS]
    for depth, layer in ((0, 2), (1, 3), (2, 4)):
        num_counted = sum(max(length - depth, 0) for length in lengths)
        assert output.routings[layer].tokens_per_expert_E.sum() == 2 * num_counted
        assert output.routings[layer].counted_BT.sum() == num_counted
    is_vowel_BT = torch.isin(batch.tokens_BT, torch.tensor(list(b"aeiou")))
    output = model(batch.tokens_BT, segments_BT=batch.segments_BT, counted_BT=is_vowel_BT)
    for depth, layer in ((1, 3), (2, 4)):
        assert torch.equal(output.routings[layer].counted_BT, ahead(is_vowel_BT, batch.segments_BT, depth=depth))


@torch.no_grad()
def test_inference_predicts_no_further_tokens(model: MoETransformer):
    tokens_BT, calls = torch.tensor([[END_OF_TEXT, *b"text"]]), []
    hooks = [module.register_forward_hook(lambda *_: calls.append(1)) for module in model.mtp]
    output = model.eval()(tokens_BT)
    assert not calls and not output.further_BTD and sorted(output.routings) == [1, 2]
    torch.testing.assert_close(model.train()(tokens_BT).logits_BTV, output.logits_BTV)
    assert len(calls) == DEPTHS
    for hook in hooks:
        hook.remove()


def test_recomputing_activations_changes_no_gradient_of_any_depth():
    batch, found = packed(DOCUMENTS, padding=3), []
    for recompute in (False, True):
        model = make_model()
        model.recompute = recompute
        output = output_of(model, batch)
        parts = [output.logits_BTV, *output.further_BTD, *(r.logits_NE for r in output.routings.values())]
        sum(part.square().mean() for part in parts).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)
        assert gradient.abs().max() > 0, name


def test_a_negative_number_of_further_tokens_is_refused():
    with pytest.raises(ValueError, match="model.num_mtp_layers=-1 must not be negative: use 0 to turn it off"):
        tiny_model_config(num_mtp_layers=-1)


def _train(world: World, folder: Path, settings: dict) -> dict:
    """Figures of every step; the model goes to a checkpoint."""
    balance = BalanceConfig(bias_rate=1e-2, z_loss_weight=1e-2)
    options = {"model": tiny_model_config(num_mtp_layers=DEPTHS), "rows": ByteRows(masked=True), "balance": balance}
    trainer = tiny_trainer(world, folder, **options, **settings)
    figures = [trainer.train_step(step)[0] for step in range(20)]
    trainer.save()
    trainer.saver.wait()
    keys = ("loss", "lm_loss", "mtp_loss", "z_loss")
    return [[*(figure.means[key] for key in keys), figure.grad_norm] for figure in figures]


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    model = MoETransformer(read_model_config(folder / "latest"))
    read_weights(folder / "latest", model)
    return model.state_dict()


@pytest.fixture(scope="module")
def of_one_rank(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("one_rank")
    return torch.tensor(run_ranks(_train, 1, folder, {})[0]), weights_in(folder)


def test_training_lowers_the_loss_of_further_tokens(of_one_rank: tuple):
    loss, language, mtp, z, _ = of_one_rank[0].T
    assert mtp[-5:].mean() < 0.85 * mtp[:5].mean() and mtp[0] > 0
    torch.testing.assert_close(loss, language + 0.3 * mtp + 1e-2 * z)
    for depth in range(DEPTHS):
        assert of_one_rank[1][f"mtp.{depth}.block.ffn.router.selection_bias"].abs().max() > 0.01


@pytest.mark.parametrize(
    "settings", [{"expert_parallel": 2}, {"expert_parallel": 2, "recompute": True, "microbatch": 4}]
)
def test_two_ranks_and_their_checkpoint_equal_one(of_one_rank: tuple, settings: dict, tmp_path: Path):
    figures, weights = of_one_rank
    for of_rank in run_ranks(_train, 2, tmp_path, settings):
        torch.testing.assert_close(torch.tensor(of_rank), figures, atol=1e-5, rtol=5e-5)
    for name, weight in weights_in(tmp_path).items():
        torch.testing.assert_close(weight, weights[name], atol=1e-4, rtol=0, msg=name)


def test_the_weight_decides_what_is_learned(of_one_rank: tuple, tmp_path: Path):
    figures = torch.tensor(run_ranks(_train, 1, tmp_path, {"loss": LossConfig(mtp_weight=0.0)})[0])
    assert figures[-1, 2] > 1.02 * of_one_rank[0][-1, 2]
