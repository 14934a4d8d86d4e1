import math

import pytest
import torch

from mai1.generate.generation import Ending
from mai1.generate.sampling import SamplingConfig
from mai1.generate.texts import Text, write_texts
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from tests.support.tiny import tiny_model_config

LETTERS = "abcdefghij klmnop"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter([LETTERS * 40]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=300))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> MoETransformer:
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1))
    initialize(model, seed=1)
    return model.eval()


@pytest.fixture(scope="module")
def prompts(tokenizer: Tokenizer) -> list[list[int]]:
    return [[tokenizer.end_of_text_id, *tokenizer.encode(text)] for text in ("a", "bcdefgh", "", "mno", "ab")]


def write(model, tokenizer, prompts, *, sampling: dict | None = None, **options) -> list[list[Text]]:
    config = SamplingConfig(**({"max_new_tokens": 10, "temperature": 1.0} | (sampling or {})))
    return write_texts(model, tokenizer, prompts, config, **options)


def test_a_text_depends_on_prompt_seed_and_sample_alone(model, tokenizer, prompts):
    all_at_once = write(model, tokenizer, prompts, num_samples=3)
    one_by_one = [write(model, tokenizer, [prompt], num_samples=3, rows_at_once=1)[0] for prompt in prompts]
    assert all_at_once == one_by_one
    assert len({text.text for texts in all_at_once for text in texts}) > 10
    fewer = write(model, tokenizer, prompts, num_samples=2, rows_at_once=4)
    assert fewer == [texts[:2] for texts in all_at_once]
    assert write(model, tokenizer, prompts, sampling={"seed": 1}) != [texts[:1] for texts in all_at_once]


def test_a_stop_string_ends_its_text_and_nobody_elses(model, tokenizer, prompts):
    free = write(model, tokenizer, prompts, sampling={"temperature": 0.0})
    stop = free[1][0].text[3:5]
    found = write(model, tokenizer, prompts, sampling={"temperature": 0.0}, stops=[stop])
    for before, after in zip(free, found, strict=True):
        expected = before[0].text.split(stop)[0]
        assert after[0].text == expected
        assert after[0].ending is (Ending.stop if stop in before[0].text else before[0].ending)
    assert len(found[1][0].tokens) < len(free[1][0].tokens)


@torch.no_grad()
def test_log_probabilities_are_those_of_the_model_itself(model, tokenizer, prompts):
    sampling = {"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.3}
    texts = write(model, tokenizer, prompts, sampling=sampling, wants_log_probabilities=True)
    for prompt, [text] in zip(prompts, texts, strict=True):
        ids = [next(i for i in range(tokenizer.num_text_ids) if tokenizer.decode([i]) == t) for t in text.tokens[:1]]
        logits_V = model(torch.tensor([prompt])).logits_BTV[0, -1]
        allowed = [*range(tokenizer.num_text_ids), *tokenizer.stop_ids]
        expected = float(logits_V[ids[0]] - logits_V[allowed].logsumexp(0))
        assert math.isclose(text.log_probabilities[0], expected, abs_tol=1e-5) or "\ufffd" in text.tokens[0]
        assert len(text.log_probabilities) == len(text.tokens)


def test_progress_counts_every_text_once(model, tokenizer, prompts):
    done = []
    write(model, tokenizer, prompts, num_samples=2, rows_at_once=3, progress=done.append)
    assert sum(done) == 10


def test_a_prompt_without_room_is_refused_before_anything_is_written(model, tokenizer, prompts):
    done = []
    with pytest.raises(ValueError, match=r"sampling\.max_new_tokens=10 exceed the model's 256 positions"):
        write(model, tokenizer, [*prompts, [1] * 250], rows_at_once=1, progress=done.append)
    assert done == []
