import pytest
import torch

from mai1.data.batch import Row, collate
from mai1.model.init import initialize
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.support.tiny import END_OF_TEXT, tiny_model_config

DOCUMENTS = [b"a first document", b"another one", b"x", b"the last, cut"]


def make_model(**changes) -> MoETransformer:
    """Weights five times the usual size, so that attention and routing are far from uniform."""
    model = MoETransformer(tiny_model_config(init_std=0.1, **changes))
    initialize(model, seed=2)
    return model


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    return make_model()


def packed(documents: list[bytes], *, padding: int = 0):
    ids = [i for text in documents for i in (END_OF_TEXT, *text)]
    row = torch.tensor(ids + [0] * (padding + 1)).numpy()
    return collate([Row(row, (row >= 0).astype("uint8"), num_valid=len(ids))], end_of_text_id=END_OF_TEXT)


@torch.no_grad()
def logits_of(model: MoETransformer, documents: list[bytes], **options) -> list[torch.Tensor]:
    """The logits of each document when all are in one row."""
    batch = packed(documents, **options)
    logits_TV = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT).logits_BTV[0]
    return list(
        logits_TV.split([len(text) + 1 for text in documents] + [logits_TV.shape[0] - sum(map(len, documents)) - 4])
    )[:4]


def test_packed_documents_equal_each_document_alone(model: MoETransformer):
    found = logits_of(model, DOCUMENTS, padding=5)
    for text, logits_TV in zip(DOCUMENTS, found, strict=True):
        alone_TV = model(torch.tensor([[END_OF_TEXT, *text]])).logits_BTV[0]
        torch.testing.assert_close(logits_TV, alone_TV, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changed", range(4))
def test_changing_one_document_never_changes_another(model: MoETransformer, changed: int):
    before = logits_of(model, DOCUMENTS)
    after = logits_of(model, [text.swapcase() if i == changed else text for i, text in enumerate(DOCUMENTS)])
    for i, (one, other) in enumerate(zip(before, after, strict=True)):
        assert (one - other).abs().max().item() < 1e-6 if i != changed else (one - other).abs().max().item() > 1e-2


@pytest.mark.parametrize("uses_mask", [True, False])
@torch.no_grad()
def test_a_token_changes_no_logits_before_it(model: MoETransformer, uses_mask: bool):
    tokens_BT = torch.tensor([[END_OF_TEXT, *b"no look ahead"]])
    segments_BT = torch.zeros_like(tokens_BT) if uses_mask else None
    before_TV = model(tokens_BT, segments_BT=segments_BT).logits_BTV[0]
    tokens_BT[0, 6] += 1
    after_TV = model(tokens_BT, segments_BT=segments_BT).logits_BTV[0]
    changes_T = (before_TV - after_TV).abs().amax(1)
    assert (changes_T[:6] < 1e-6).all() and (changes_T[6:] > 1e-4).all()


@torch.no_grad()
def test_one_document_a_row_needs_no_mask(model: MoETransformer):
    tokens_BT = torch.tensor([[END_OF_TEXT, *b"one"], [END_OF_TEXT, *b"two"]])
    masked = model(tokens_BT, segments_BT=torch.zeros_like(tokens_BT))
    torch.testing.assert_close(model(tokens_BT).logits_BTV, masked.logits_BTV, atol=1e-5, rtol=1e-5)


def test_recomputing_activations_changes_no_gradient():
    batch, found = packed(DOCUMENTS, padding=3), []
    for recompute in (False, True):
        model = make_model()
        model.recompute = recompute
        output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
        z_loss = sum(routing.logits_NE.logsumexp(-1).square().sum() for routing in output.routings.values())
        (output.logits_BTV.square().mean() + z_loss).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)
        assert gradient.abs().max() > 0, name


def test_every_routing_comes_from_its_moe_layer(model: MoETransformer):
    output = model(torch.tensor([[END_OF_TEXT, *b"five"]]))
    assert sorted(output.routings) == sorted(model.moe_layers()) == [1, 2]
    for routing in output.routings.values():
        assert routing.experts_NK.shape == (5, 2) and routing.tokens_per_expert_E.sum() == 10


def test_initial_weights_have_the_stated_spread_and_follow_the_seed_alone():
    model = MoETransformer(tiny_model_config(init_std=0.04))
    initialize(model, seed=1)
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            assert (weight == 1).all(), name
            continue
        is_residual_output = any(part in name for part in ("output", "down"))
        expected = 0.04 / (2 * 3) ** 0.5 if is_residual_output else 0.04
        assert weight.std().item() == pytest.approx(expected, rel=0.1), name
        assert abs(weight.mean().item()) < expected * 0.2, name
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    torch.manual_seed(123)
    initialize(model, seed=1)
    assert all(torch.equal(weight, first[name]) for name, weight in model.state_dict().items())
    initialize(model, seed=2)
    assert not any(torch.equal(w, first[name]) for name, w in model.named_parameters() if w.dim() > 1)


def test_tied_embeddings_are_one_matrix():
    model = make_model(tie_embeddings=True)
    assert "unembedding.weight" not in model.state_dict()
    with torch.no_grad():
        tokens_BT = torch.tensor([[1, 2, 3]])
        before = model(tokens_BT).logits_BTV
        model.embedding.weight[300] *= 2  # a token that is not read: only its logit may change
        torch.testing.assert_close(model(tokens_BT).logits_BTV[..., 300], 2 * before[..., 300])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (dict(num_dense_layers=3), "model.num_dense_layers=3 must be from 0 to num_layers-1=2"),
        (dict(d_model=0), "model.d_model=0 must be above 0"),
        (dict(norm_eps=float("nan")), "model.norm_eps=nan must be above 0"),
        (dict(vocab_size=-1), "model.vocab_size=-1 must not be negative"),
        (dict(moe={"top_k": 9}), "model.moe.top_k=9 must not exceed the 8 experts"),
        (dict(moe={"num_groups": 4, "top_groups": 1, "top_k": 3}), "top_k=3 must not exceed the 2 experts"),
        (dict(moe={"num_groups": 8}), "num_groups=8 must split num_experts=8 into equal groups of two or more"),
        (dict(moe={"num_groups": 2, "top_groups": 3}), "top_groups=3 must not exceed num_groups=2"),
        (dict(moe={"num_shared_experts": -1}), "num_shared_experts=-1 must not be negative"),
    ],
)
def test_impossible_shapes_are_refused_by_key(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        tiny_model_config(**options)


def test_every_default_shape_is_valid():
    assert isinstance(ModelConfig(), ModelConfig)


def test_gradients_come_in_the_same_order_whatever_the_documents_and_the_load():
    tokens_BT = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(0))
    packed_BT = (torch.arange(40) // 7).expand(2, 40)
    padded_BT = torch.where(torch.arange(40) < 33, 0, -1).expand(2, 40)
    orders = []
    for segments_BT, bias in ((None, 0.0), (packed_BT, 0.0), (padded_BT, 9.0)):
        model, order = MoETransformer(tiny_model_config(num_mtp_layers=1)), []
        initialize(model, seed=0)
        for layer in model.moe_layers().values():
            layer.router.selection_bias[:2] = bias
        for name, parameter in model.named_parameters():
            parameter.register_post_accumulate_grad_hook(lambda _, name=name, order=order: order.append(name))
        output = model.train()(tokens_BT, segments_BT=segments_BT)
        (output.logits_BTV.square().mean() + output.further_BTD[0].square().mean()).backward()
        orders.append(order)
    assert orders[0] == orders[1] == orders[2]  # ranks differ in this, and ZeRO adds up gradients as they come
