"""The same greedy text from one rank and from every combination of engine settings, while the weights stay where they are."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mai1.evaluate.together import generate_together
from mai1.generate.generation import generate
from mai1.generate.sampling import SamplingConfig
from mai1.model.init import initialize
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, family_configs, tiny_model_config, tiny_trainer, train
from tests.support.topologies import supported

PROMPTS = [[END_OF_TEXT, *text] for text in (b"", b"Two", b"a much longer prompt", b"three", b"if x:")]
CONFIG = tiny_model_config(init_std=0.1)
LATENT = replace(family_configs()["deepseek_v3"], init_std=0.1)
SAMPLING = SamplingConfig(max_new_tokens=9)


def text_of_one_rank(config: ModelConfig, sampling: SamplingConfig, stop_ids: list[int]) -> list[list[int]]:
    model = MoETransformer(config)
    initialize(model, seed=1)
    return generate(model.eval(), PROMPTS, sampling, stop_ids=stop_ids, num_text_ids=256)


def _say(world, config: ModelConfig, settings: dict, sampling: SamplingConfig, stop_ids: list[int]) -> list[list[int]]:
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), model=config, microbatch=1, **settings)
    engine = trainer.engine
    said = generate_together(
        engine.model,
        PROMPTS,
        sampling,
        stop_ids=stop_ids,
        num_text_ids=256,
        world=world,
        num_stages=engine.place.num_stages,
        run=engine.eval_batch,
    )
    figures = train(trainer, 2)  # it can still learn
    assert all(0 < loss < 10 for loss, _ in figures) and engine.model.training
    return said


def _say_all(world, runs: dict[str, dict], *arguments: object) -> dict[str, list[list[int]]]:
    return {name: _say(world, CONFIG, settings, *arguments) for name, settings in runs.items()}


def stop_that_cuts(sampling: SamplingConfig) -> int:
    """An id that ends some rows early, at different places, and others not."""
    free = text_of_one_rank(CONFIG, sampling, [])
    found = [token for token in free[2][1:] if sum(token in ids for ids in free) < len(free)]
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("is_pipeline", [False, True])
def test_every_supported_combination_says_what_one_rank_says(is_pipeline: bool):
    stop_ids = [stop_that_cuts(SAMPLING)]
    expected = text_of_one_rank(CONFIG, SAMPLING, stop_ids)
    assert len({len(ids) for ids in expected}) > 1
    runs = {
        name: settings for name, settings in supported() if is_pipeline == (settings.get("pipeline_parallel", 1) > 1)
    }
    assert len(runs) > 3
    for found in run_ranks(_say_all, 4, runs, SAMPLING, stop_ids):
        assert {name: ids for name, ids in found.items() if ids != expected} == {}


def _say_latent(world) -> list:
    return [_say(world, LATENT, settings, SAMPLING, []) for settings in ({"zero_stage": 3}, {"sequence_parallel": 2})]


@pytest.mark.slow
def test_latents_are_cached_where_zero_3_holds_weights_in_parts():
    expected = text_of_one_rank(LATENT, SAMPLING, [])
    assert run_ranks(_say_latent, 2) == [[expected, expected]] * 2


def test_sampled_text_on_ranks_is_that_of_one_rank():
    sampling = SamplingConfig(max_new_tokens=6, temperature=1.0, top_p=0.9, repetition_penalty=1.2, seed=3)
    expected = text_of_one_rank(CONFIG, sampling, [])
    assert run_ranks(_say, 2, CONFIG, {"expert_parallel": 2}, sampling, []) == [expected] * 2


def test_prompts_that_do_not_fit_are_refused_before_any_rank_begins():
    model = MoETransformer(CONFIG)
    with pytest.raises(ValueError, match=r"sampling\.max_new_tokens=300 exceed the model's 256 positions"):
        generate_together(
            model, PROMPTS, SamplingConfig(max_new_tokens=300), stop_ids=[], num_text_ids=256, world=torch
        )
