import pytest
import torch

from mai1.evaluate.answers import answer_questions, word_f1
from mai1.generate.sampling import SamplingConfig
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from tests.support.tiny import tiny_model_config


def message(role: str, content: str) -> dict:
    return {"role": role, "content": content}


SHORT = [message("user", "one?"), message("assistant", "two")]
LONG = [message("system", "be brief"), *SHORT, message("user", "and then?"), message("assistant", "three, four")]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    text = "one two three four and then be brief? , " * 20
    return train_tokenizer(iter([text]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=300, reserved_size=8))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> MoETransformer:
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1))
    initialize(model, seed=2)
    return model


@torch.no_grad()
def last_answer_nats(model: MoETransformer, tokenizer: Tokenizer, messages: list[dict]) -> tuple[float, int]:
    """Nats and number of the tokens after the last `<|assistant|>`, one at a time."""
    ids = encode_chat(tokenizer, messages).ids
    first = len(encode_chat(tokenizer, messages[:-1], add_generation_prompt=True).ids)
    nats = 0.0
    for t in range(first, len(ids)):
        nats -= float(model(torch.tensor([ids[:t]])).logits_BTV[0, -1].log_softmax(-1)[ids[t]])
    return nats, len(ids) - first


@pytest.mark.parametrize("rows_at_once", [1, 16])
def test_the_answer_loss_counts_the_last_answer_alone(model: MoETransformer, tokenizer: Tokenizer, rows_at_once: int):
    sampling = SamplingConfig(max_new_tokens=4)
    figures, _ = answer_questions(model, tokenizer, [SHORT, LONG], sampling, rows_at_once=rows_at_once)
    parts = [last_answer_nats(model, tokenizer, messages) for messages in (SHORT, LONG)]
    assert figures.questions == 2
    assert figures.answer_loss == pytest.approx(sum(n for n, _ in parts) / sum(count for _, count in parts), rel=1e-5)


def test_answers_keep_question_reference_and_completion(model: MoETransformer, tokenizer: Tokenizer):
    figures, answers = answer_questions(model, tokenizer, [LONG, SHORT], SamplingConfig(max_new_tokens=4))
    assert [(a.prompt, a.reference) for a in answers] == [("and then?", "three, four"), ("one?", "two")]
    assert [a.score for a in answers] == [word_f1(a.completion, a.reference) for a in answers]
    assert figures.f1 == pytest.approx(sum(a.score for a in answers) / 2)


@pytest.mark.parametrize("messages", [LONG[:-1], SHORT[1:]])
def test_a_conversation_without_question_and_answer_is_refused(
    model: MoETransformer, tokenizer: Tokenizer, messages: list
):
    with pytest.raises(ValueError, match="conversation 2 must end with a question and the assistant's answer"):
        answer_questions(model, tokenizer, [SHORT, messages], SamplingConfig())


@pytest.mark.parametrize(
    ("completion", "reference", "score"),
    [
        ("The cat sat", "the cat sat", 1.0),
        ("", "anything", 0.0),
        ("dog", "cat", 0.0),
        ("the cat", "the black cat sat", 2 * 1.0 * 0.5 / 1.5),
        ("a a a", "a", 2 * (1 / 3) * 1.0 / (4 / 3)),
        ("cat the", "the cat", 1.0),
    ],
)
def test_word_f1_is_the_harmonic_mean_of_precision_and_recall(completion: str, reference: str, score: float):
    assert word_f1(completion, reference) == pytest.approx(score)
