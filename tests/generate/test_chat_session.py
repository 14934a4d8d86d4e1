from collections.abc import Callable

import pytest
import torch

from mai1.generate.chat_session import ChatSession, ConversationTooLongError
from mai1.generate.generation import generate
from mai1.generate.sampling import SamplingConfig
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from tests.support.tiny import tiny_model_config

TEXT = "what is a list? it holds things, one after another. how long is it? 0123456789 "


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter([TEXT * 20]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=300))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> MoETransformer:
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1, max_positions=160))
    initialize(model, seed=1)
    with torch.no_grad():  # never single bytes: an answer's text has the ids it was written with
        for token in range(tokenizer.num_text_ids):
            if tokenizer.encode(tokenizer.decode([token])) != [token]:
                model.unembedding.weight[token] = 0
    return model.eval()


@pytest.fixture
def begin(model: MoETransformer, tokenizer: Tokenizer) -> Callable[..., ChatSession]:
    def session(**sampling) -> ChatSession:
        config = SamplingConfig(**({"max_new_tokens": 12} | sampling))
        return ChatSession(model=model, tokenizer=tokenizer, sampling=config)

    return session


def answer_of_whole_conversation(model: MoETransformer, tokenizer: Tokenizer, messages: list[dict]) -> str:
    """Greedy, from nothing but the messages."""
    ids = encode_chat(tokenizer, messages, add_generation_prompt=True).ids
    settings = {"stop_ids": tokenizer.stop_ids, "num_text_ids": tokenizer.num_text_ids}
    return tokenizer.decode(generate(model, [ids], SamplingConfig(max_new_tokens=12), **settings)[0])


def test_every_answer_is_that_of_the_whole_conversation_read_anew(begin, model, tokenizer):
    session = begin()
    session.set_system("it is 0")
    for question in ("what is a list?", "how long?", "0123"):
        asked = [*session.messages, {"role": "user", "content": question}]
        said = "".join(session.ask(question))
        assert said == answer_of_whole_conversation(model, tokenizer, asked)
        assert session.messages == [*asked, {"role": "assistant", "content": said}]


def test_only_new_tokens_are_read(begin, model, tokenizer):
    lengths = []
    hook = model.register_forward_pre_hook(lambda _module, inputs: lengths.append(inputs[0].shape[1]))
    session = begin()
    first = "".join(session.ask("what is a list?"))
    before = len(encode_chat(tokenizer, session.messages, add_generation_prompt=True).ids)
    assert lengths[0] == session.figures.prompt_tokens and set(lengths[1:]) == {1}
    lengths.clear()
    "".join(session.ask("how long?"))
    hook.remove()
    question = len(tokenizer.encode("how long?")) + 2  # its role and its end
    assert lengths[0] == question + 3  # and the last token of the answer, its end, and the role of what comes now
    assert lengths[0] == session.figures.prompt_tokens - session.figures.reused_tokens
    assert before + question == session.figures.prompt_tokens and first


def test_what_changes_early_is_read_anew(begin, model, tokenizer):
    session = begin()
    "".join(session.ask("what is a list?"))
    session.set_system("long")
    asked = [*session.messages, {"role": "user", "content": "how?"}]
    assert "".join(session.ask("how?")) == answer_of_whole_conversation(model, tokenizer, asked)
    assert session.figures.reused_tokens <= 1


def test_another_answer_takes_the_place_of_the_last(begin):
    session = begin(temperature=1.0)
    first = "".join(session.ask("what is a list?"))
    second = "".join(session.ask_again())
    assert second != first and [m["content"] for m in session.messages] == ["what is a list?", second]
    assert session.figures.prompt_tokens - session.figures.reused_tokens == 1
    with pytest.raises(ValueError, match="there is no answer yet: ask something first"):
        begin().ask_again()


def test_a_conversation_is_reproducible(begin):
    said = []
    for _ in range(2):
        session = begin(temperature=1.0, seed=3)
        said.append(["".join(session.ask(question)) for question in ("what?", "how?")])
    assert said[0] == said[1] and said[0][0] != said[0][1]


def test_an_answer_that_is_ended_early_is_kept_as_far_as_it_came(begin, model, tokenizer):
    session = begin()
    pieces = session.ask("what is a list?")
    shown = next(pieces) + next(pieces)
    pieces.close()
    assert session.messages[-1] == {"role": "assistant", "content": shown}
    asked = [*session.messages, {"role": "user", "content": "how?"}]
    assert "".join(session.ask("how?")) == answer_of_whole_conversation(model, tokenizer, asked)


def test_a_conversation_that_is_too_long_says_so_and_loses_nothing_unless_told(begin):
    session = begin(max_new_tokens=30)
    questions = ["0123456789 " * 4, "how long is it? " * 3, "what is a list? " * 3]
    with pytest.raises(ConversationTooLongError, match="tokens, but the model is declared for 160 positions"):
        for question in questions:
            "".join(session.ask(question))
    said = [message["content"] for message in session.messages]
    assert said[0] == questions[0] and session.messages[-1]["role"] == "assistant"
    assert session.drop_oldest() == questions[0]
    assert [message["content"] for message in session.messages] == said[2:]
    assert "".join(session.ask("how?"))


def test_an_answer_ends_where_the_positions_end_and_says_so(begin, model):
    session = begin(max_new_tokens=500)
    "".join(session.ask("what is a list?"))
    figures = session.figures
    assert figures.is_out_of_positions
    assert figures.prompt_tokens + figures.answer_tokens == model.config.max_positions


def test_a_question_without_an_answer_is_taken_back(begin, model, tokenizer):
    session = begin()
    session.sampling = SamplingConfig(max_new_tokens=1)
    answers = []
    for question in ("what?", "how?", "is it?", "0", "1", "list?"):
        answers.append("".join(session.ask(question)))
        assert len(session.messages) == 2 * len([answer for answer in answers if answer.strip()])


def test_resetting_keeps_the_system_message_alone(begin):
    session = begin()
    session.set_system("list")
    "".join(session.ask("how?"))
    session.reset()
    assert session.messages == [{"role": "system", "content": "list"}]
    session.set_system("")
    assert session.messages == [] and session.drop_oldest() is None and session.num_tokens() == 0


@torch.no_grad()
def test_the_cache_grows_with_the_conversation(begin, model, tokenizer, monkeypatch):
    monkeypatch.setattr("mai1.generate.chat_session.FIRST_CAPACITY", 8)
    session = begin()
    for question in ("what is a list?", "how long?"):
        asked = [*session.messages, {"role": "user", "content": question}]
        assert "".join(session.ask(question)) == answer_of_whole_conversation(model, tokenizer, asked)
