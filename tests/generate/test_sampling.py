from collections import Counter

import pytest
import torch

from mai1.generate.sampling import SamplingConfig, choose_token, generate
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.tiny import END_OF_TEXT, tiny_model_config

PROMPTS = [[END_OF_TEXT, *text] for text in (b"", b"Two", b"a much longer prompt")]


@pytest.fixture(scope="module")
def model() -> MoETransformer:
    model = MoETransformer(tiny_model_config(init_std=0.1))
    initialize(model, seed=4)
    return model.eval()


def say(model: MoETransformer, prompts: list[list[int]], *, stop_ids: tuple[int, ...] = (), text: int = 256, **options):
    config = SamplingConfig(**({"max_new_tokens": 12} | options))
    return generate(model, prompts, config, stop_ids=list(stop_ids), num_text_ids=text)


@torch.no_grad()
def greedy_by_hand(model: MoETransformer, prompt: list[int], num_tokens: int) -> list[int]:
    ids = list(prompt)
    for _ in range(num_tokens):
        ids.append(int(model(torch.tensor([ids])).logits_BTV[0, -1, :256].argmax()))
    return ids[len(prompt) :]


def test_greedy_text_is_the_argmax_of_a_model_without_cache(model: MoETransformer):
    found = say(model, PROMPTS)
    assert found == [greedy_by_hand(model, prompt, 12) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in found}) == 3


LOGITS_V = torch.tensor([2.0, 1.0, 1.0, 0.3, -0.5, -1.0, -9.0])


@pytest.mark.parametrize(
    "options",
    [dict(), dict(temperature=0.5), dict(top_k=1), dict(top_k=4), dict(top_k=99), dict(top_p=1e-6), dict(top_p=0.4)]
    + [dict(top_p=0.8), dict(top_p=0.95, temperature=2.0), dict(top_k=4, top_p=0.7)],
)
def test_draws_have_the_distribution_worked_out_by_hand(options: dict):
    temperature = options.get("temperature", 1.0)
    weights = {i: float((LOGITS_V[i] / temperature).exp()) for i in range(len(LOGITS_V))}
    kept = sorted(weights, key=lambda i: -weights[i])[: options.get("top_k") or None]
    total, reached, nucleus = sum(weights[i] for i in kept), 0.0, []
    for i in kept:
        if reached < options.get("top_p", 1.0):
            nucleus.append(i)
        reached += weights[i] / total
    generator, num_draws = torch.Generator().manual_seed(0), 3000
    config = SamplingConfig(**{"temperature": temperature} | options)
    counts = Counter(choose_token(LOGITS_V, config, generator) for _ in range(num_draws))
    assert set(counts) <= set(nucleus)
    for i in nucleus:
        expected = weights[i] / sum(weights[j] for j in nucleus)
        assert counts[i] / num_draws == pytest.approx(expected, abs=0.03)


def test_a_rows_text_depends_on_its_seed_and_not_on_its_batch(model: MoETransformer):
    alone = [say(model, [prompt], temperature=1.0, seed=7)[0] for prompt in PROMPTS]
    assert say(model, PROMPTS, temperature=1.0, seed=7) == alone
    assert say(model, PROMPTS[::-1], temperature=1.0, seed=7) == alone[::-1]
    assert all(one != other for one, other in zip(say(model, PROMPTS, temperature=1.0, seed=8), alone, strict=True))


def test_a_stop_id_ends_its_row_alone_and_is_not_returned(model: MoETransformer):
    free = say(model, PROMPTS)
    stop = next(i for i in free[0][1:] if i not in free[0][:1])
    found = say(model, PROMPTS, stop_ids=(stop,))
    expected = [ids[: ids.index(stop)] if stop in ids else ids for ids in free]
    assert found == expected and 0 < len(found[0]) < 12


def test_only_text_and_stop_ids_are_ever_sampled(model: MoETransformer):
    drawn = [
        ids for seed in range(3) for ids in say(model, PROMPTS, text=5, stop_ids=(300,), temperature=50.0, seed=seed)
    ]
    assert {0, 1} < {i for ids in drawn for i in ids} <= set(range(5))
    assert min(map(len, drawn)) < 12  # of 128 control ids the one that stops was drawn


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []]])
def test_empty_prompts_are_refused(model: MoETransformer, prompts: list):
    with pytest.raises(ValueError, match="prompt is empty: give at least one token"):
        say(model, prompts)


def test_text_beyond_the_models_positions_is_refused_before_it_begins(model: MoETransformer):
    with pytest.raises(ValueError, match="250 tokens and sampling.max_new_tokens=7 exceed the model's 256 positions"):
        say(model, [[1] * 250], max_new_tokens=7)
    assert len(say(model, [[1] * 250], max_new_tokens=6)[0]) == 6


@pytest.mark.parametrize(
    "options",
    [dict(max_new_tokens=0), dict(temperature=-1.0), dict(temperature=float("nan")), dict(top_k=-1), dict(top_p=0.0)]
    + [dict(top_p=1.1)],
)
def test_impossible_settings_are_refused_by_key(options: dict):
    [(key, value)] = options.items()
    with pytest.raises(ValueError, match=f"sampling.{key}={value} must"):
        SamplingConfig(**options)
