"""How well a model answers questions whose answers are known: likelihood of the answer, and overlap of what it says."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from mai1.data.batch import Row, collate
from mai1.generate.compiled_step import CompiledStep
from mai1.generate.generation import generate
from mai1.generate.sampling import SamplingConfig
from mai1.loss import token_losses
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.chat_tokens import Learn
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(slots=True)
class Answer:
    """One question, what should come and what came."""

    prompt: str
    reference: str
    completion: str
    score: float
    """F1 of the words in common."""


@dataclass(slots=True)
class AnswerFigures:
    """Over all questions."""

    questions: int
    answer_loss: float
    """Nats per token of the reference answers, given the questions."""
    f1: float
    """Mean F1 of the words of completion and reference (Rajpurkar et al. 2016, arXiv 1606.05250, §6.1)."""


@torch.no_grad()
def answer_questions(
    model: MoETransformer,
    tokenizer: Tokenizer,
    conversations: list[list[dict]],
    sampling: SamplingConfig,
    *,
    rows_at_once: int = 16,
    step: CompiledStep | None = None,
) -> tuple[AnswerFigures, list[Answer]]:
    """Ask the model everything before each conversation's last message and compare with that message."""
    check_questions(conversations)
    model.eval()
    loss_sum, num_targets, answers = 0.0, 0.0, []
    for first in range(0, len(conversations), rows_at_once):
        part = conversations[first : first + rows_at_once]
        nats, targets = _reference_loss(model, tokenizer, part)
        loss_sum, num_targets = loss_sum + nats, num_targets + targets
        prompts = [encode_chat(tokenizer, messages[:-1], add_generation_prompt=True).ids for messages in part]
        completions = generate(
            model, prompts, sampling, stop_ids=tokenizer.stop_ids, num_text_ids=tokenizer.num_text_ids, step=step
        )
        for messages, ids in zip(part, completions, strict=True):
            completion, reference = tokenizer.decode(ids).strip(), messages[-1]["content"]
            answers.append(Answer(messages[-2]["content"], reference, completion, word_f1(completion, reference)))
    mean_f1 = sum(answer.score for answer in answers) / len(answers)
    return AnswerFigures(len(answers), loss_sum / num_targets, mean_f1), answers


def check_questions(conversations: list[list[dict]]) -> None:
    """Refuse conversations whose last message is no answer."""
    for number, messages in enumerate(conversations, start=1):
        roles = [message["role"] for message in messages]
        if len(roles) < 2 or roles[-1] != "assistant":
            raise ValueError(
                f"conversation {number} must end with a question and the assistant's answer, but its roles are "
                f"{', '.join(roles)}: cut it after an answer"
            )


def word_f1(completion: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the lower-case words in common."""
    said, wanted = (Counter(text.lower().split()) for text in (completion, reference))
    common = (said & wanted).total()
    return 2 * common / (said.total() + wanted.total()) if common else 0.0


def _reference_loss(model: MoETransformer, tokenizer: Tokenizer, part: list[list[dict]]) -> tuple[float, float]:
    chats = [encode_chat(tokenizer, messages, learn=Learn.last) for messages in part]
    length = max(len(chat.ids) for chat in chats)
    rows = []
    for chat in chats:
        padding = length - len(chat.ids)
        ids = np.array(chat.ids + [tokenizer.pad_id] * padding, dtype=np.int64)
        last_answer_only = _last_span(chat.loss_mask) + [0] * padding
        starts = np.arange(length) == 0  # one document, whatever tokens are in it
        mask = np.array(last_answer_only, dtype=np.uint8)
        rows.append(Row(ids, mask, num_valid=len(chat.ids), starts=starts))
    batch = collate(rows, end_of_text_id=tokenizer.end_of_text_id).to(model.embedding.weight.device)
    output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
    return float(token_losses(output, batch).sum()), float(batch.loss_mask_BT.sum())


def _last_span(mask: list[int]) -> list[int]:
    """Keep only the last run of ones."""
    end = len(mask) - mask[::-1].index(1)
    start = end - next((i for i, value in enumerate(mask[:end][::-1]) if not value), end)
    return [0] * start + [1] * (end - start) + [0] * (len(mask) - end)
