"""Sampling with a key-value cache: greedy, temperature, top-k and top-p; a row's text depends on its seed alone.

Legend: B rows, T positions, V vocabulary.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mai1.model.attention import KeyValueCache
from mai1.model.transformer import MoETransformer


@dataclass(kw_only=True, slots=True)
class SamplingConfig:
    max_new_tokens: int = 128
    """Longest continuation in tokens."""
    temperature: float = 0.0
    """0 takes the most likely token (greedy); 1 samples the model's own distribution."""
    top_k: int = 0
    """Sample among this many most likely tokens; 0 is off."""
    top_p: float = 1.0
    """Sample among the fewest tokens whose probabilities reach this (Holtzman et al. 2020, arXiv 1904.09751); 1 is off."""
    seed: int = 0
    """Seed of the sampling."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"sampling.max_new_tokens={self.max_new_tokens} must be at least 1")
        if not self.temperature >= 0:
            raise ValueError(f"sampling.temperature={self.temperature} must not be negative: use 0 for greedy")
        if self.top_k < 0:
            raise ValueError(f"sampling.top_k={self.top_k} must not be negative: use 0 to turn it off")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"sampling.top_p={self.top_p} must be above 0 and at most 1: use 1 to turn it off")


@torch.no_grad()
def generate(
    model: MoETransformer, prompts: list[list[int]], config: SamplingConfig, *, stop_ids: list[int], num_text_ids: int
) -> list[list[int]]:
    """Continue each prompt until a stop id (not included) or the longest length; ids from `num_text_ids` on that are no
    stop ids are never sampled. Prompts of any lengths go together: shorter ones are padded on the left."""
    if not prompts or any(not prompt for prompt in prompts):
        raise ValueError("prompt is empty: give at least one token, for example the end-of-text token")
    longest = max(map(len, prompts))
    if longest + config.max_new_tokens > model.config.max_positions:
        raise ValueError(
            f"the prompt's {longest} tokens and sampling.max_new_tokens={config.max_new_tokens} exceed the model's "
            f"{model.config.max_positions} positions: use a shorter prompt or fewer new tokens"
        )
    device = model.embedding.weight.device
    cache = KeyValueCache(num_layers=model.config.num_layers, capacity=longest + config.max_new_tokens)
    tokens_BT, positions_BT = _pad_left(prompts, longest, device=device)
    generators = [torch.Generator(device).manual_seed(config.seed) for _ in prompts]
    allowed_V = _allowed_ids(model.config.vocab_size, num_text_ids, stop_ids, device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    is_open = [True] * len(prompts)
    for _ in range(config.max_new_tokens):
        segments_BT = torch.where(positions_BT >= 0, 0, -1)
        output = model(tokens_BT, positions_BT=positions_BT.clamp(min=0), segments_BT=segments_BT, cache=cache)
        logits_BV = F.linear(output.hidden_BTD[:, -1], output.unembedding_VD).float()
        logits_BV = logits_BV.masked_fill(~allowed_V, float("-inf"))
        chosen = [choose_token(row, config, generator) for row, generator in zip(logits_BV, generators, strict=True)]
        for row, token in enumerate(chosen):
            is_open[row] = is_open[row] and token not in stop_ids
            if is_open[row]:
                answers[row].append(token)
        if not any(is_open):
            break
        tokens_BT = torch.tensor(chosen, device=device)[:, None]
        positions_BT = positions_BT[:, -1:] + 1
    return answers


def choose_token(logits_V: torch.Tensor, config: SamplingConfig, generator: torch.Generator) -> int:
    """One token from one row of logits."""
    if config.temperature == 0:
        return int(logits_V.argmax())
    logits_V = logits_V / config.temperature
    if config.top_k:
        kth = logits_V.topk(min(config.top_k, len(logits_V))).values[-1]
        logits_V = logits_V.masked_fill(logits_V < kth, float("-inf"))
    probabilities_V = logits_V.softmax(-1)
    if config.top_p < 1:
        ordered, ids = probabilities_V.sort(descending=True)
        is_surplus = ordered.cumsum(0) - ordered >= config.top_p
        probabilities_V = probabilities_V.index_fill(0, ids[is_surplus], 0.0)
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def _pad_left(prompts: list[list[int]], longest: int, *, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens, and positions that are negative on padding."""
    tokens_BT = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=device)
    positions_BT = torch.tensor([list(range(len(p) - longest, len(p))) for p in prompts], device=device)
    return tokens_BT, positions_BT


def _allowed_ids(vocab_size: int, num_text_ids: int, stop_ids: list[int], *, device: torch.device) -> torch.Tensor:
    allowed_V = torch.zeros(vocab_size, dtype=torch.bool, device=device)
    allowed_V[:num_text_ids] = True
    allowed_V[stop_ids] = True
    return allowed_V
