"""Conversations to ids: what is cut, left out, counted, and that rows of foreign templates isolate as ours do."""

from pathlib import Path

import numpy as np
import pytest

from mai1.data.batch import collate
from mai1.data.conversation_shapes import Dialogue
from mai1.data.conversations import PackedConversations, TooLong
from mai1.run.tuning_data import encode_dialogues
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.chat_tokens import Learn
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer
from tests.support.foreign import TEMPLATES, real_texts, write_named

FILE = Path("talks.jsonl")
SHORT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
LONG = [*SHORT, {"role": "user", "content": "More!"}, {"role": "assistant", "content": real_texts()[0][:2000]}]


@pytest.fixture(scope="module")
def own() -> Tokenizer:
    return train_tokenizer(iter(real_texts()[:10]), TokenizerConfig(vocab_size=600))


@pytest.fixture(scope="module", params=["own", "chatml", "mistral", "glm"])
def tokenizer(request, own: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    if request.param == "own":
        return own
    return Tokenizer.load(write_named(tmp_path_factory.mktemp(request.param), request.param))


def talks(*dialogues: list[dict], source: str = "a") -> list[tuple[Dialogue, str]]:
    return [(Dialogue(messages), source) for messages in dialogues]


def test_conversations_that_are_too_long_are_left_out_and_counted(tokenizer: Tokenizer):
    text = encode_dialogues(FILE, talks(SHORT, LONG), tokenizer, sequence_length=64)
    figures = text.figures["a"]
    assert len(text.conversations) == 1 and (figures.conversations, figures.too_long, figures.cut) == (2, 1, 0)
    assert figures.longest > 64 and sum(figures.lengths.values()) == 2 and figures.answers == {1: 1, 2: 1}


def test_or_are_cut_behind_the_last_answer_that_fits(tokenizer: Tokenizer):
    text = encode_dialogues(FILE, talks(SHORT, LONG), tokenizer, sequence_length=64, too_long=TooLong.cut)
    assert [c.ids for c in text.conversations] == [encode_chat(tokenizer, SHORT).ids] * 2
    figures = text.figures["a"]
    assert (figures.too_long, figures.cut, figures.duplicates) == (1, 1, 1)
    assert "2 of 2 conversations, 1 of them copies, 1 too long (1 of them cut)" in text.line()


def test_what_is_too_long_from_its_first_answer_on_cannot_be_cut(tokenizer: Tokenizer):
    text = encode_dialogues(FILE, talks(LONG[2:]), tokenizer, sequence_length=64, too_long=TooLong.cut)
    assert not text.conversations and text.figures["a"].cut == 0


def test_the_share_of_learned_tokens_is_told_by_source(tokenizer: Tokenizer):
    wordy = [{"role": "user", "content": "word " * 40}, {"role": "assistant", "content": "ok"}]
    both = talks(SHORT, source="brief") + talks(wordy, source="wordy")
    found = encode_dialogues(FILE, both, tokenizer, sequence_length=512).to_json()
    shares = {name: source["supervised_share"] for name, source in found["sources"].items()}
    assert 0 < shares["wordy"] < 0.1 < shares["brief"] < 1
    masks = [encode_chat(tokenizer, messages).loss_mask for messages in (SHORT, wordy)]
    assert found["all"]["supervised_tokens"] == sum(map(sum, masks)) and found["all"]["tokens"] == sum(map(len, masks))


def test_the_last_answer_alone_may_be_learned(tokenizer: Tokenizer):
    two = [*SHORT, {"role": "user", "content": "More!"}, {"role": "assistant", "content": "Less"}]
    every, last = (
        encode_dialogues(FILE, talks(two), tokenizer, sequence_length=64, learn=learn).conversations[0]
        for learn in (Learn.all, Learn.last)
    )
    assert every.ids == last.ids and 0 < sum(last.loss_mask) < sum(every.loss_mask)


def test_the_conversation_that_teaches_nothing_is_named(tokenizer: Tokenizer):
    unlearned = [SHORT[0], SHORT[1] | {"train": False}]
    with pytest.raises(
        ValueError, match=r"talks.jsonl, conversation 2: no answer of the conversation is to be learned"
    ):
        encode_dialogues(FILE, talks(SHORT, unlearned), tokenizer, sequence_length=64)


def test_packed_conversations_of_any_template_are_documents_of_their_own(tokenizer: Tokenizer):
    """Also where the token that ends a text stands in the middle, as behind every answer of a ChatML conversation."""
    two = [*SHORT, {"role": "user", "content": "More!"}, {"role": "assistant", "content": "Less"}]
    text = encode_dialogues(FILE, talks(two, SHORT), tokenizer, sequence_length=127)
    packed = PackedConversations(text.conversations, sequence_length=127, seed=0, pad_id=tokenizer.pad_id)
    assert packed.rows_per_epoch == 1
    batch = collate([packed.read(0)], end_of_text_id=tokenizer.end_of_text_id)
    lengths = sorted((len(c.ids) for c in text.conversations), reverse=True)
    expected = np.repeat([0, 1, -1], [*lengths, 127 - sum(lengths)])
    assert batch.segments_BT[0].tolist() == expected.tolist()
    assert batch.positions_BT[0, : sum(lengths)].tolist() == [*range(lengths[0]), *range(lengths[1])]
    assert batch.loss_mask_BT[0, lengths[0] - 1] == 0  # the first token of the second does not follow from the first


def test_tools_reach_a_foreign_template_and_are_text_for_ours(own: Tokenizer, tmp_path: Path):
    foreign = Tokenizer.load(write_named(tmp_path, "qwen3"))
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    dialogue = Dialogue(SHORT, [tool])
    for tokenizer, said in ((foreign, "<tools>"), (own, "You can use the tools below")):
        [conversation] = encode_dialogues(FILE, [(dialogue, "a")], tokenizer, sequence_length=512).conversations
        assert said in tokenizer.decode(conversation.ids)
    assert "<tools>" in TEMPLATES["qwen3"]
