"""Shards between programs, in an environment that has the other one: megatron-core reads ours, we read datatrove's."""

from pathlib import Path

import numpy as np
import pytest

from mai1.data.shards import Shard, ShardWriter

VOCAB_SIZES = (300, 200_000)
"""Ids of 2 bytes, and of 4."""


def make_documents(vocab_size: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = [1, *generator.integers(1, 500, size=60).tolist()]
    return [generator.integers(0, vocab_size, size=size) for size in sizes]


@pytest.mark.parametrize("vocab_size", VOCAB_SIZES)
def test_megatron_reads_our_shard_unchanged(tmp_path: Path, vocab_size: int):
    indexed_dataset = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    documents = make_documents(vocab_size)
    with ShardWriter(tmp_path / "s", vocab_size=vocab_size) as writer:
        for ids in documents:
            writer.add(ids)
        writer.close({})
    dataset = indexed_dataset.IndexedDataset(str(tmp_path / "s"))
    assert dataset.document_indices.tolist() == list(range(len(documents) + 1))
    assert dataset.sequence_lengths.tolist() == list(map(len, documents))
    for number, ids in enumerate(documents):
        np.testing.assert_array_equal(dataset[number], ids)
        np.testing.assert_array_equal(dataset.get(number, offset=len(ids) // 2), ids[len(ids) // 2 :])


@pytest.mark.parametrize("vocab_size", VOCAB_SIZES)
def test_we_read_what_megatron_writes_also_documents_of_several_sequences(tmp_path: Path, vocab_size: int):
    indexed_dataset = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    torch = pytest.importorskip("torch")
    documents = make_documents(vocab_size)
    dtype = indexed_dataset.DType.optimal_dtype(vocab_size)
    builder = indexed_dataset.IndexedDatasetBuilder(str(tmp_path / "s.bin"), dtype=dtype)
    for number, ids in enumerate(documents):
        for part in np.array_split(ids, 1 + number % 3):
            builder.add_item(torch.from_numpy(part))
        builder.end_document()
    builder.finalize(str(tmp_path / "s.idx"))
    shard = Shard.open(tmp_path / "s")
    assert shard.lengths.tolist() == list(map(len, documents)) and shard.manifest == {}
    for number, ids in enumerate(documents):
        np.testing.assert_array_equal(shard.document(number), ids)


@pytest.mark.parametrize("vocab_size", VOCAB_SIZES)
def test_we_read_what_datatrove_writes(tmp_path: Path, vocab_size: int):
    tokenizer = pytest.importorskip("datatrove.pipeline.tokens.megatron_tokenizer")
    documents = make_documents(vocab_size)
    token_size = 2 if vocab_size < 1 << 16 else 4
    file = tokenizer.MegatronTokenizedFile(str(tmp_path), "s", token_size=token_size)
    for ids in documents:
        file.write(ids.tolist())
    file.close()
    shard = Shard.open(tmp_path / "s")
    assert shard.dtype.itemsize == token_size and shard.manifest == {}
    assert shard.lengths.tolist() == list(map(len, documents))
    for number, ids in enumerate(documents):
        np.testing.assert_array_equal(shard.document(number), ids)
