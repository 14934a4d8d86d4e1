"""Pairs of answers from real text, packed to rows, and a trainer that learns from them."""

import pydoc_data.topics
from pathlib import Path

import torch

from mai1.data.conversations import Conversation
from mai1.data.preferences import PackedPreferences, Pair
from mai1.dist import World
from mai1.evaluate.pairs import Mismatched, answer_logps
from mai1.objective.pair_losses import PreferenceConfig
from mai1.objective.preference import Preference
from mai1.train.trainer import Trainer
from tests.support.tiny import END_OF_TEXT, tiny_trainer

PAD = 257


def some_pairs(count: int, *, seed: int = 0) -> list[Pair]:
    """Questions of varying length, each with an answer that goes on with its text and one from another text."""
    topics = [text.encode() for _, text in sorted(pydoc_data.topics.topics.items())]
    pairs = []
    for number in range(count):
        text, other = topics[(seed + number) % len(topics)], topics[(seed + number * 7 + 3) % len(topics)]
        asked = 4 + number * 5 % 9
        lengths = (3 + number * 3 % 8, 3 + number * 7 % 11)
        answers = (text[asked : asked + lengths[0]], other[40 : 40 + lengths[1]])
        source = ("even", "odd")[number % 2]
        pairs.append(Pair(*(_conversation(text[:asked], answer, source) for answer in answers)))
    return pairs


def _conversation(asked: bytes, answer: bytes, source: str) -> Conversation:
    return Conversation([END_OF_TEXT, *asked, *answer], [0] * (1 + len(asked)) + [1] * len(answer), source)


def pair_rows(*, count: int = 60, sequence_length: int = 64, seed: int = 0) -> PackedPreferences:
    """Rows of several pairs, of which most have room left."""
    return PackedPreferences(some_pairs(count, seed=seed), sequence_length=sequence_length, seed=3, pad_id=PAD)


def judged_rows(*, count: int = 60, sequence_length: int = 64) -> PackedPreferences:
    """Rows of answers that were judged one by one, two of three desirable, and of the mismatched ones."""
    pairs = [
        Pair(None, pair.rejected) if number % 3 == 0 else Pair(pair.chosen, None)
        for number, pair in enumerate(some_pairs(count))
    ]
    return PackedPreferences(pairs, sequence_length=sequence_length, seed=3, pad_id=PAD, is_mismatched=True)


def pair_trainer(world: World, folder: Path, preference: PreferenceConfig, **settings) -> Trainer:
    """`tiny_trainer` of pairs or, for KTO, of judged answers, with the reference that its start model gives."""
    made = judged_rows if preference.judges_one_by_one else pair_rows
    trainer = tiny_trainer(world, folder, rows=settings.pop("rows", None) or made(), **settings)
    before, rows, measuring = trainer.objective, trainer.loader.rows, trainer.evaluation.measuring
    trainer.objective = Preference(
        balance=before.balance, loss=before.loss, num_mtp_layers=before.num_mtp_layers, preference=preference
    )
    count = len(rows.pairs)
    if preference.needs_reference:
        trainer.objective.reference_PA = answer_logps(rows.rows, measuring, num_pairs=count)
    if preference.judges_one_by_one:
        expected_PA = answer_logps(rows.mismatched, measuring, num_pairs=count)
        mismatched = Mismatched(rows=rows, measuring=measuring, reference_PA=expected_PA)
        trainer.objective.log_ratios = mismatched.log_ratios
    return trainer


def logp_alone(model: torch.nn.Module, conversation: Conversation) -> torch.Tensor:
    """The slow way: one conversation through the model by itself, the log-probabilities of its learned ids summed."""
    ids = torch.tensor(conversation.ids)
    output = model(ids[None, :-1])
    logps_TV = torch.log_softmax(output.logits_BTV[0].double(), dim=-1)
    of_targets_T = logps_TV.gather(1, ids[1:, None])[:, 0]
    return (of_targets_T * torch.tensor(conversation.loss_mask[1:])).sum()
