from collections import Counter
from dataclasses import replace

import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from mai1.generate.generation import generate
from mai1.generate.sampling import Luck, SamplingConfig, choose_tokens, penalize
from mai1.model.init import initialize
from mai1.model.layout import lay_out
from mai1.model.transformer import MoETransformer
from tests.support.tiny import END_OF_TEXT, family_configs, tiny_model_config

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
    + [dict(top_p=0.8), dict(top_p=0.95, temperature=2.0), dict(top_k=4, top_p=0.7), dict(min_p=0.3), dict(min_p=0.05)]
    + [dict(min_p=0.2, temperature=2.0), dict(min_p=0.4, top_k=4)],
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
    nucleus = [i for i in nucleus if weights[i] >= options.get("min_p", 0.0) * max(weights.values())]
    num_draws, config = 3000, SamplingConfig(**{"temperature": temperature} | options)
    lucks = [Luck(seed=0, sample=number) for number in range(num_draws)]
    counts = Counter(choose_tokens(LOGITS_V.expand(num_draws, -1), config, lucks).tolist())
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


def test_a_repetition_penalty_is_transformers_one():
    logits_BV = torch.randn(2, 9, generator=torch.Generator().manual_seed(0)) * 3
    seen = torch.tensor([[0, 3, 3], [8, 1, 2]])
    has_occurred_BV = torch.zeros(2, 9, dtype=torch.bool).scatter_(1, seen, True)
    expected = RepetitionPenaltyLogitsProcessor(1.7)(seen, logits_BV.clone())
    torch.testing.assert_close(penalize(logits_BV, has_occurred_BV, penalty=1.7), expected)


def test_a_repetition_penalty_counts_prompt_and_answer_but_no_padding(model: MoETransformer):
    found = say(model, PROMPTS, repetition_penalty=1e6, max_new_tokens=20)
    for prompt, ids in zip(PROMPTS, found, strict=True):
        assert len({*prompt, *ids}) == len(set(prompt)) + len(ids)  # nothing twice
    assert found == [say(model, [prompt], repetition_penalty=1e6, max_new_tokens=20)[0] for prompt in PROMPTS]
    assert say(model, PROMPTS, max_new_tokens=20) != found


@pytest.mark.parametrize("family", family_configs())
def test_every_family_writes_what_it_would_without_cache_padding_or_mates(family: str):
    model = MoETransformer(replace(family_configs()[family], init_std=0.1))
    initialize(model, seed=4)
    lay_out(model.eval())  # as a checkpoint is loaded
    found = say(model, PROMPTS, max_new_tokens=6)
    assert found == [greedy_by_hand(model, prompt, 6) for prompt in PROMPTS]


def test_rows_that_have_ended_are_computed_no_more(model: MoETransformer):
    free = say(model, PROMPTS)
    stop = free[0][4]
    rows = []
    hook = model.register_forward_pre_hook(lambda _module, inputs: rows.append(len(inputs[0])))
    found = say(model, PROMPTS, stop_ids=(stop,))
    hook.remove()
    lengths = sorted(len(ids) + (len(ids) < 12) for ids in found)  # the stop id is computed too
    assert rows == [sum(length > step for length in lengths) for step in range(max(lengths))]
    assert min(rows) < len(PROMPTS)


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
    + [dict(top_p=1.1), dict(min_p=1.0), dict(min_p=-0.1), dict(repetition_penalty=0.0), dict(seed=-1)]
    + [dict(repetition_penalty=float("inf")), dict(temperature=float("inf"))],
)
def test_impossible_settings_are_refused_by_key(options: dict):
    [(key, value)] = options.items()
    with pytest.raises(ValueError, match=f"sampling.{key}={value} must"):
        SamplingConfig(**options)
