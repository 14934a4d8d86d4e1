from dataclasses import replace

import pytest
import torch

from mai1.model.init import initialize
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.layout import lay_out
from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs

PROMPTS = [b"a", b"four", b"the longest prompt"]


@pytest.mark.parametrize("chunks", [[18], [18, 1, 1, 1, 1], [5, 9, 4, 3], [1] * 21])
@pytest.mark.parametrize("family", ["glm4_moe", "olmoe", "deepseek_v3"])
@pytest.mark.parametrize("is_laid_out", [False, True])
@torch.no_grad()
def test_cached_logits_of_left_padded_rows_equal_each_row_alone(family: str, chunks: list[int], is_laid_out: bool):
    config = replace(family_configs()[family], init_std=0.1)
    model = MoETransformer(config)
    initialize(model, seed=0)
    if is_laid_out:
        lay_out(model)
    continuation = list(b"xyz!")
    longest, num_tokens = max(map(len, PROMPTS)), sum(chunks)
    rows = [[0] * (longest - len(p)) + list(p) + continuation for p in PROMPTS]
    tokens_BT = torch.tensor(rows)[:, :num_tokens]
    positions_BT = torch.stack([torch.arange(num_tokens) - (longest - len(p)) for p in PROMPTS])
    cache, found, first = KeyValueCache(num_layers=config.num_layers, capacity=num_tokens), [], 0
    for size in chunks:
        part = slice(first, first + size)
        segments_BT = torch.where(positions_BT[:, part] >= 0, 0, -1)
        output = model(
            tokens_BT[:, part], positions_BT=positions_BT[:, part].clamp(min=0), segments_BT=segments_BT, cache=cache
        )
        found.append(output.logits_BTV)
        first += size
    logits_BTV = torch.cat(found, dim=1)
    for row, prompt in enumerate(PROMPTS):
        start = longest - len(prompt)
        alone_TV = model(tokens_BT[row : row + 1, start:]).logits_BTV[0]
        torch.testing.assert_close(logits_BTV[row, start:], alone_TV, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", family_configs())
@pytest.mark.parametrize("chunks", [[20], [7, 1, 1, 11], [1] * 20, [3, 17]])
@torch.no_grad()
def test_a_row_without_padding_needs_neither_positions_nor_documents(family: str, chunks: list[int]):
    config = replace(family_configs()[family], init_std=0.1)
    model = MoETransformer(config)
    initialize(model, seed=0)
    lay_out(model.eval())
    tokens_BT = torch.randint(0, 256, (3, 20), generator=torch.Generator().manual_seed(1))
    cache = KeyValueCache(num_layers=config.num_layers, capacity=9)
    found = []
    for part in tokens_BT.split(chunks, dim=1):
        if cache.length + part.shape[1] > cache.capacity:
            cache.grow(cache.length + part.shape[1])
        found.append(model(part, cache=cache).logits_BTV)
    torch.testing.assert_close(torch.cat(found, dim=1), model(tokens_BT).logits_BTV, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_is_forgotten_leaves_no_trace_and_rows_can_be_left_out():
    config = replace(family_configs()["qwen3_moe"], init_std=0.1)
    model = MoETransformer(config)
    initialize(model, seed=0)
    tokens_BT = torch.randint(0, 256, (4, 12), generator=torch.Generator().manual_seed(1))
    cache = KeyValueCache(num_layers=config.num_layers, capacity=30)
    model(torch.cat((tokens_BT[:, :5], tokens_BT.flip(1)), dim=1), cache=cache)
    cache.forget(5)
    cache.keep([3, 1])
    found_BTV = model(tokens_BT[[3, 1], 5:], cache=cache).logits_BTV
    expected_BTV = model(tokens_BT[[3, 1]]).logits_BTV[:, 5:]
    torch.testing.assert_close(found_BTV, expected_BTV, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_nothing_is_counted_in_generation():
    config = family_configs()["glm4_moe"]
    model = MoETransformer(config)
    output = model(torch.zeros(1, 3, dtype=torch.int64), cache=KeyValueCache(num_layers=config.num_layers, capacity=3))
    assert {routing.tokens_per_expert_BE for routing in output.routings.values()} == {None}
