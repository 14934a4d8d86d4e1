"""Damaged shards, conversations, tokenizers and corpora: an error of one line, or exactly what was written."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.document import Document
from data_prep.reading.bad import Bad
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import read_slice
from data_prep.reading.source import SourceConfig
from mai1.data import conversation_shapes
from mai1.data.instructions import read_with_sources
from mai1.data.shards import Shard, ShardWriter
from mai1.run.datasets import open_pretraining
from mai1.tokenizer.byte_bpe_file import from_json, to_json
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.sentencepiece_model import SentencePieceModel
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from mai1.tokenizer.vocabulary import Vocabulary
from tests.security.conftest import TEXT
from tests.security.fuzzing import VALUES, changed_json, damaged, fuzz

DOCUMENTS = [np.arange(size) * 7 % 300 for size in (5, 1, 33, 2)]


@contextmanager
def bounded_memory(limit: int = 64 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def stem(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "s"
    with ShardWriter(path, vocab_size=300) as writer:
        for ids in DOCUMENTS:
            writer.add(ids)
        writer.close({"source": "s", "bytes": 41})
    return path


@pytest.mark.parametrize("ending", ["idx", "bin", "json"])
def test_a_damaged_shard_is_refused_or_whole(stem: Path, ending: str):
    path = Path(f"{stem}.{ending}")
    whole = path.read_bytes()

    @fuzz(150)
    @given(damaged(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with bounded_memory():
            try:
                shard = Shard.open(stem)
                shard.verify()
                found = [shard.document(i).tolist() for i in range(shard.num_documents)]
            except ValueError as error:
                assert str(path.parent) in str(error)
                return
        if shard.manifest:
            assert found == [ids.tolist() for ids in DOCUMENTS]

    try:
        check()
    finally:
        path.write_bytes(whole)


def test_a_damaged_index_reads_no_id_outside_the_file_even_unverified(stem: Path):
    path = Path(f"{stem}.idx")
    whole = path.read_bytes()

    @fuzz(150)
    @given(damaged(whole, first_bytes=80))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            shard = Shard.open(stem)
            assert sum(len(shard.document(i)) for i in range(shard.num_documents)) <= sum(map(len, DOCUMENTS))
        except ValueError:
            return

    try:
        check()
    finally:
        path.write_bytes(whole)


def test_a_changed_manifest_of_a_shard_is_refused_or_the_shard_is_whole(stem: Path):
    path = Path(f"{stem}.json")
    whole = path.read_text()

    @fuzz(150)
    @given(changed_json(json.loads(whole)))
    def check(content: object) -> None:
        path.write_text(json.dumps(content))
        try:
            shard = Shard.open(stem)
            shard.verify()
            assert [shard.document(i).tolist() for i in range(shard.num_documents)] == [d.tolist() for d in DOCUMENTS]
        except ValueError:
            return

    try:
        check()
    finally:
        path.write_text(whole)


def test_a_changed_manifest_of_a_corpus_is_refused_or_opens_the_same_rows(corpus: Path, tmp_path: Path):
    for name in ("train", "heldout", "tokenizer"):
        (tmp_path / name).symlink_to(corpus / name)
    content = json.loads((corpus / "manifest.json").read_text())
    settings = {"sequence_length": 16, "seed": 0, "heldout_rows": 1}
    expected = open_pretraining(corpus, **settings).rows.fingerprint

    @fuzz(40)
    @given(st.one_of(changed_json(content), VALUES))
    def check(changed: object) -> None:
        (tmp_path / "manifest.json").write_text(json.dumps(changed))
        try:
            assert open_pretraining(tmp_path, **settings).rows.fingerprint == expected
        except (ValueError, OSError):
            return

    check()


CONVERSATIONS = [
    {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}], "source": "a"},
    {"instruction": "Add.", "input": "1 + 1", "output": "2"},
    {"prompt": "a", "completion": "b"},
]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_damaged_conversations_are_refused_with_their_place_or_are_conversations(tmp_path, tokenizer, ending: str):
    path = tmp_path / f"talk.{ending}"
    lines = json.dumps(CONVERSATIONS) if ending == "json" else "\n".join(map(json.dumps, CONVERSATIONS))
    records = st.lists(changed_json(CONVERSATIONS[0]), min_size=1, max_size=3)
    as_text = records.map(lambda r: json.dumps(r) if ending == "json" else "\n".join(map(json.dumps, r))).map(
        str.encode
    )

    @fuzz(250)
    @given(st.one_of(damaged(lines.encode()), as_text, st.binary(max_size=60)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            for dialogue, source in read_with_sources(path):
                messages = conversation_shapes.as_text(dialogue)
                assert all(isinstance(text, str) for m in messages for text in (m["role"], m["content"], source))
                encode_chat(tokenizer, messages)
        except ValueError as error:
            assert str(path) in str(error) or "messages" in str(error) or "text must be valid Unicode" in str(error)

    check()


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet", "txt"])
def test_damaged_text_is_refused_by_name_or_is_text(tmp_path, ending: str):
    import gzip

    import pyarrow
    import pyarrow.parquet
    import zstandard

    path = tmp_path / f"text.{ending}"
    config = SourceConfig(path=str(path))
    plain = "".join(json.dumps({"text": f"Line {i} of it."}) + "\n" for i in range(5)).encode()
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": ["one", "two", None] * 20}), path)
        whole = path.read_bytes()
    else:
        whole = {"jsonl.gz": gzip.compress(plain), "jsonl.zst": zstandard.compress(plain)}.get(ending, plain)

    @fuzz(150)
    @given(damaged(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            pieces = list_slices("mine", config, seed=0)
        except ValueError as error:
            assert str(path) in str(error)
            return
        for item in (item for piece in pieces for item in read_slice(piece, config)):
            assert isinstance(item, Document | Bad) and item.name.startswith(str(path))
            assert isinstance(item, Bad) or isinstance(item.text, str)

    check()


def test_damaged_vocabularies_are_refused_or_vocabularies(tokenizer: Tokenizer):
    text = tokenizer.vocabulary.to_json()

    @fuzz(300)
    @given(
        st.one_of(
            changed_json(json.loads(text)).map(json.dumps), damaged(text.encode()).map(lambda b: b.decode("latin-1"))
        )
    )
    def check(changed: str) -> None:
        try:
            vocabulary = Vocabulary.from_json(changed)
        except ValueError:
            return
        ids = [vocabulary.control_id(name) for name in vocabulary.control]
        assert len(set(ids)) == len(ids) and all(vocabulary.text_size <= i < vocabulary.size for i in ids)

    check()


def test_damaged_tokenizer_models_are_refused_or_give_every_text_back(tokenizer: Tokenizer):
    """The C++ parser included: it must not crash. What is accepted still encodes without loss."""

    @fuzz(60)
    @given(damaged(tokenizer.model.content))
    def check(content: bytes) -> None:
        try:
            changed = Tokenizer(SentencePieceModel(content), tokenizer.vocabulary)
        except ValueError:
            return
        ids = changed.encode("For x in names:\n  # é \u2581 <|end|>")
        assert all(0 <= i < tokenizer.vocabulary.text_size for i in ids)

    check()


@pytest.fixture(scope="module")
def byte_bpe() -> Tokenizer:
    return train_tokenizer(iter([TEXT * 20]), TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=290))


def test_damaged_byte_bpe_files_are_refused_or_the_same_tokenizer(byte_bpe: Tokenizer):
    """Nothing of a file reaches the library but merges that were checked one by one."""
    control = byte_bpe.vocabulary.control
    text = to_json(byte_bpe.model, control)
    probe = "For x in names:\n  # \u00e9 \u2581 <|end|> 2024"

    @fuzz(300)
    @given(
        st.one_of(
            changed_json(json.loads(text)).map(json.dumps), damaged(text.encode()).map(lambda b: b.decode("latin-1"))
        )
    )
    def check(changed: str) -> None:
        try:
            model = from_json(changed, control)
        except ValueError as error:
            assert "restore" in str(error) and "\n" not in str(error)
            return
        tokenizer = Tokenizer(model, Vocabulary(model.num_ids, control, byte_bpe.vocabulary.reserved_size))
        assert tokenizer.decode(tokenizer.encode(probe)) == probe

    check()


def test_deep_and_large_byte_bpe_files_are_refused_in_bounded_memory(byte_bpe: Tokenizer):
    control = byte_bpe.vocabulary.control
    content = json.loads(to_json(byte_bpe.model, control))
    doubling = [["a" * 2**n, "a" * 2**n] for n in range(18)]
    with bounded_memory():
        for text in ("[" * 500_000, json.dumps(content | {"model": content["model"] | {"merges": doubling}})):
            with pytest.raises(ValueError, match="restore the file"):
                from_json(text, control)


@pytest.mark.parametrize("kind", ["tokenizer", "byte_bpe"])
def test_no_raw_text_becomes_a_control_token(kind: str, request: pytest.FixtureRequest):
    tokenizer = request.getfixturevalue(kind)
    names = st.sampled_from(
        [*tokenizer.vocabulary.control, "<|reserved_0|>", "<|padding_0|>", "<unk>", "<s>", "\u2581"]
    )
    texts = st.lists(st.one_of(names, st.text(max_size=10)), max_size=6).map("".join)

    @fuzz(300)
    @given(texts)
    def check(text: str) -> None:
        ids = tokenizer.encode(text)
        assert all(0 <= i < tokenizer.vocabulary.text_size for i in ids) and tokenizer.decode(ids) == text
        chat = encode_chat(tokenizer, [{"role": "user", "content": text}, {"role": "assistant", "content": "x" + text}])
        assert sum(i >= tokenizer.vocabulary.text_size for i in chat.ids) == 5
        assert sum(chat.loss_mask) == len(tokenizer.encode("x" + text)) + 1

    check()
