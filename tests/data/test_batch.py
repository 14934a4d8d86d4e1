import numpy as np
import pytest
import torch

from mai1.data.batch import Row, collate

END = 9


def collate_by_loop(row: Row) -> tuple[list[int], list[int]]:
    """Document ids and positions, one token at a time."""
    segments, positions, document, position = [], [], 0, -1
    for t, token in enumerate(row.ids[:-1]):
        if token == END and t:
            document, position = document + 1, -1
        position += 1
        segments.append(document if t < row.num_valid else -1)
        positions.append(position)
    return segments, positions


def make_row(ids: list[int], *, num_valid: int | None = None) -> Row:
    mask = np.arange(len(ids)) % 3 != 1
    return Row(np.array(ids), mask.astype(np.uint8), num_valid=len(ids) if num_valid is None else num_valid)


ROWS = {
    "begins_with_a_document": make_row([9, 1, 2, 9, 3, 9, 4, 5]),
    "begins_in_a_document": make_row([1, 2, 9, 3, 4, 5, 6, 9]),
    "empty_documents": make_row([9, 9, 9, 1, 9, 9, 2, 3]),
    "padded": make_row([9, 1, 9, 2, 0, 0, 0, 0], num_valid=4),
    "padded_with_end_of_text": make_row([9, 1, 9, 2, 9, 9, 9, 9], num_valid=4),
    "padding_alone": make_row([9] * 8, num_valid=0),
    "one_document": make_row([9, 1, 2, 3, 4, 5, 6, 7]),
}


def test_a_batch_equals_a_loop_over_tokens():
    batch = collate(list(ROWS.values()), end_of_text_id=END)
    for b, row in enumerate(ROWS.values()):
        segments, positions = collate_by_loop(row)
        assert batch.segments_BT[b].tolist() == segments
        assert batch.positions_BT[b, : row.num_valid].tolist() == positions[: row.num_valid]
        assert batch.tokens_BT[b].tolist() == row.ids[:-1].tolist()
        assert batch.targets_BT[b].tolist() == row.ids[1:].tolist()
        assert batch.loss_mask_BT[b].tolist() == row.loss_mask[1:].tolist()
    assert batch.loss_mask_BT.dtype is torch.float32 and batch.positions_BT.min() >= 0


def test_tokens_keep_the_source_they_were_read_from():
    mixed, same, untold = make_row([9, 1, 2, 3]), make_row([9, 1, 2, 3]), make_row([9, 1, 2, 3])
    mixed.sources, same.sources = np.array([4, 4, 7, 5]), 3
    batch = collate([mixed, same, untold], end_of_text_id=END)
    assert batch.sources_BT.tolist() == [[4, 4, 7], [3, 3, 3], [0, 0, 0]] and batch.sources_BT.dtype is torch.int64


@pytest.mark.parametrize(("name", "is_packed"), [(n, n != "one_document") for n in ROWS if n != "padding_alone"])
def test_only_rows_of_one_whole_document_need_no_isolation(name: str, is_packed: bool):
    batch = collate([ROWS["one_document"], ROWS[name]], end_of_text_id=END)
    assert batch.is_packed is is_packed
    assert (batch.isolating_segments_BT is None) is not is_packed
