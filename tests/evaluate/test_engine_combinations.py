"""Likelihoods of a model in training, however its layers, experts, positions and weights are spread over ranks."""

from pathlib import Path

import pytest

from mai1.dist import World
from mai1.evaluate.likelihood import SharedModel, log_likelihoods
from mai1.evaluate.replies import Prompt, reply
from mai1.evaluate.requests import Request
from mai1.generate.sampling import SamplingConfig
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config, tiny_trainer, train

REQUESTS = [
    Request(tuple(b"The statement number %d is" % i), tuple(answer)) for i in range(5) for answer in (b" one", b"!")
]
COMBINATIONS = {
    "zero 2": {"zero_stage": 2},
    "zero 3": {"zero_stage": 3},
    "experts": {"zero_stage": 2, "expert_parallel": 2},
    "experts, zero 3": {"zero_stage": 3, "expert_parallel": 2},
    "positions": {"zero_stage": 2, "sequence_parallel": 2},
    "stages": {"zero_stage": 1, "pipeline_parallel": 2},
}


def _in_training(world: World, folder: str, settings: dict) -> tuple[list, list, list]:
    """Before a step, after it, and the losses of two steps with an evaluation between them."""
    trainer = tiny_trainer(world, Path(folder) / str(world.rank), model=tiny_model_config(init_std=0.1), **settings)
    shared = SharedModel(
        model=trainer.engine.model,
        world=world,
        pad_id=END_OF_TEXT,
        tokens_at_once=64,
        num_stages=trainer.engine.place.num_stages,
        run=trainer.engine.eval_batch,
    )
    before = log_likelihoods(shared, REQUESTS)
    losses = train(trainer, 1)
    after = log_likelihoods(shared, REQUESTS)
    losses += train(trainer, 1)
    return [each.log_likelihood for each in before], [each.log_likelihood for each in after], losses


def _replies(world: World, checkpoint: str, folder: str, settings: dict) -> list[str]:
    tokenizer = Tokenizer.load(Path(checkpoint))
    config = tiny_model_config(init_std=0.1, vocab_size=tokenizer.vocabulary.size)
    trainer = tiny_trainer(world, Path(folder) / str(world.rank), model=config, **settings)
    shared = SharedModel(model=trainer.engine.model, world=world, pad_id=tokenizer.pad_id, tokens_at_once=40)
    return reply(shared, tokenizer, prompts_of(tokenizer))


def prompts_of(tokenizer: Tokenizer) -> list[Prompt]:
    """Of several lengths, some with stops that end them early, and more than divide evenly."""
    texts = ["The statement", "A name", "It is the", "Values of", "x = 1 and"]
    sampling = SamplingConfig(max_new_tokens=10)
    return [
        Prompt(tuple(tokenizer.encode(text)), ("e",) if i % 2 else ("\n\n",), sampling) for i, text in enumerate(texts)
    ]


@pytest.mark.parametrize("name", ["zero 2", "zero 3", "experts"])
def test_replies_of_ranks_are_those_of_one(name: str, checkpoint: Path, tmp_path: Path):
    tokenizer = Tokenizer.load(checkpoint)
    model = MoETransformer(tiny_model_config(init_std=0.1, vocab_size=tokenizer.vocabulary.size))
    initialize(model, seed=1)
    alone = SharedModel(model=model.eval(), world=ALONE, pad_id=tokenizer.pad_id)
    expected = reply(alone, tokenizer, prompts_of(tokenizer))
    assert len(set(expected)) > 2
    for found in run_ranks(_replies, 2, str(checkpoint), str(tmp_path), COMBINATIONS[name]):
        assert found == expected


@pytest.fixture(scope="module")
def expected() -> list[float]:
    model = MoETransformer(tiny_model_config(init_std=0.1))
    initialize(model, seed=1)
    shared = SharedModel(model=model.eval(), world=ALONE, pad_id=END_OF_TEXT)
    return [each.log_likelihood for each in log_likelihoods(shared, REQUESTS)]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_combination_gives_the_likelihoods_of_the_whole_model(name: str, expected: list[float], tmp_path: Path):
    found = run_ranks(_in_training, 2, str(tmp_path), COMBINATIONS[name])
    for before, after, losses in found:
        assert before == pytest.approx(expected, abs=1e-4)
        assert after != pytest.approx(expected, abs=1e-4)
        assert after == pytest.approx(found[0][1]) and len(losses) == 2
