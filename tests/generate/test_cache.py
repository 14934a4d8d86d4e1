from dataclasses import replace

import pytest
import torch

from mai1.model.attention import KeyValueCache
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs

PROMPTS = [b"a", b"four", b"the longest prompt"]


@pytest.mark.parametrize("chunks", [[18], [18, 1, 1, 1, 1], [5, 9, 4, 3], [1] * 21])
@pytest.mark.parametrize("family", ["glm4_moe", "olmoe", "deepseek_v3"])
@torch.no_grad()
def test_cached_logits_of_left_padded_rows_equal_each_row_alone(family: str, chunks: list[int]):
    config = replace(family_configs()[family], init_std=0.1)
    model = MoETransformer(config)
    initialize(model, seed=0)
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


@pytest.mark.parametrize("missing", ["positions_BT", "segments_BT"])
def test_a_cache_without_positions_or_segments_is_refused(missing: str):
    config = family_configs()["olmoe"]
    tokens_BT = torch.zeros(1, 2, dtype=torch.int64)
    given = {"positions_BT": tokens_BT, "segments_BT": tokens_BT} | {missing: None}
    with pytest.raises(AssertionError, match="a cache needs both"):
        MoETransformer(config)(tokens_BT, cache=KeyValueCache(num_layers=config.num_layers, capacity=4), **given)
