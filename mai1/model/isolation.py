"""Softmax attention over packed rows in which no token sees another document: the one place that picks a kernel.

Legend: B batch, T query positions, S key positions, N = B*T positions of all rows, H query heads, G key-value heads,
C channels of a query and of a key, V channels of a value, W the larger of the two.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.nn.attention.varlen import varlen_attn


@dataclass(slots=True)
class Documents:
    """Where the documents of packed rows lie: one row after the other, padding counting as a document."""

    lengths: list[int]
    """Tokens of each."""
    borders: torch.Tensor
    """int32 `[documents + 1]`, on the model's device: the first of the N positions of each, and N."""
    longest: int
    """The largest length."""


Isolation = Documents | torch.Tensor | None
"""Who may see whom: documents of packed rows, or None, when every row is one document, or a mask `[B, 1, T, S]`: bool,
True where a query may look, or what is added to the scores."""


def isolate(
    segments_BT: torch.Tensor, key_segments_BS: torch.Tensor, *, device: torch.device
) -> Documents | torch.Tensor:
    """How to keep documents apart. A document is a run of equal ids within a row; queries are the last T of the S keys.

    Queries that continue others (T < S) take a mask. Ids that lie on the CPU spare a GPU one wait a forward.
    """
    if segments_BT.shape != key_segments_BS.shape:
        return document_mask(segments_BT, key_segments_BS).to(device)
    starts_BT = torch.ones_like(segments_BT, dtype=torch.bool)
    starts_BT[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    borders = F.pad(starts_BT.flatten().nonzero()[:, 0], (0, 1), value=starts_BT.numel()).cpu()
    lengths = borders.diff().tolist()
    return Documents(lengths, borders.int().to(device, non_blocking=True), longest=max(lengths))


def document_mask(query_segments_BT: torch.Tensor, key_segments_BS: torch.Tensor) -> torch.Tensor:
    """True where a query may look: same document, not later. Queries are the last T of the S keys; bool `[B, 1, T, S]`."""
    num_queries, num_keys = query_segments_BT.shape[1], key_segments_BS.shape[1]
    query_index_T = torch.arange(num_keys - num_queries, num_keys, device=key_segments_BS.device)
    key_index_S = torch.arange(num_keys, device=key_segments_BS.device)
    not_later_TS = key_index_S[None, :] <= query_index_T[:, None]
    same_document_BTS = query_segments_BT[:, :, None] == key_segments_BS[:, None, :]
    return (same_document_BTS & not_later_TS)[:, None]


def attend(
    query_BTHC: torch.Tensor,
    key_BSGC: torch.Tensor,
    value_BSGV: torch.Tensor,
    isolation: Isolation,
    *,
    scale: float | None = None,
) -> torch.Tensor:
    """Mix the values that each query may see: `[B, T, H, V]`. G divides H; `scale` is 1/sqrt(C) unless given.

    Nothing of size T x T is kept for documents. On a GPU in half precision they go through one kernel
    (FlashAttention-2 for ragged rows, from compute capability 8.0 on; heads of up to 256 channels, in eights), and
    elsewhere one after the other, which on a CPU is also faster than a mask.
    """
    scale, num_value_channels = scale or query_BTHC.shape[-1] ** -0.5, value_BSGV.shape[-1]
    width = max(query_BTHC.shape[-1], num_value_channels)  # only equal widths get a fast kernel; zeros change nothing
    query_BTHW, key_BSGW, value_BSGW = (_widen(x, width) for x in (query_BTHC, key_BSGC, value_BSGV))
    if query_BTHW.shape[1] == 1 and not isinstance(isolation, Documents):
        mixed_BTHW = _attend_once(query_BTHW, key_BSGW, value_BSGW, isolation, scale=scale)
    elif isinstance(isolation, Documents):
        mixed_BTHW = _attend_documents(query_BTHW, key_BSGW, value_BSGW, isolation, scale=scale)
    else:
        mixed_BTHW = _attend_rows(query_BTHW, key_BSGW, value_BSGW, isolation, scale=scale)
    return mixed_BTHW if num_value_channels == width else mixed_BTHW[..., :num_value_channels]


def _attend_once(
    query_B1HW: torch.Tensor,
    key_BSGW: torch.Tensor,
    value_BSGW: torch.Tensor,
    mask_B11S: torch.Tensor | None,
    *,
    scale: float,
) -> torch.Tensor:
    """One query a row sees all keys but padding: query heads that share a key serve as the queries of one head."""
    query_BGQW = query_B1HW.reshape(len(query_B1HW), key_BSGW.shape[2], -1, query_B1HW.shape[3])
    keys_and_values = (x.transpose(1, 2) for x in (key_BSGW, value_BSGW))
    mixed_BGQW = F.scaled_dot_product_attention(query_BGQW, *keys_and_values, attn_mask=mask_B11S, scale=scale)
    return mixed_BGQW.reshape(query_B1HW.shape)


def _attend_rows(
    query_BTHW: torch.Tensor,
    key_BSGW: torch.Tensor,
    value_BSGW: torch.Tensor,
    mask_B1TS: torch.Tensor | None = None,
    *,
    scale: float,
) -> torch.Tensor:
    # with a mask, and in fp32 on a GPU, only the slow kernel knows grouped heads
    knows_groups = mask_B1TS is None and (query_BTHW.is_cpu or query_BTHW.dtype is not torch.float32)
    if not knows_groups:
        key_BSGW, value_BSGW = (_one_per_query_head(x, query_BTHW.shape[2]) for x in (key_BSGW, value_BSGW))
    mixed_BHTW = F.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (query_BTHW, key_BSGW, value_BSGW)),
        attn_mask=mask_B1TS,
        is_causal=mask_B1TS is None,
        scale=scale,
        enable_gqa=knows_groups,
    )
    return mixed_BHTW.transpose(1, 2)


def _attend_documents(
    query_BTHW: torch.Tensor, key_BTGW: torch.Tensor, value_BTGW: torch.Tensor, documents: Documents, *, scale: float
) -> torch.Tensor:
    if _has_ragged_kernel(query_BTHW):
        key_BTHW, value_BTHW = (_one_per_query_head(x, query_BTHW.shape[2]) for x in (key_BTGW, value_BTGW))
        rows_NHW = (x.flatten(0, 1) for x in (query_BTHW, key_BTHW, value_BTHW))
        borders, longest = documents.borders, documents.longest
        mixed_NHW = varlen_attn(*rows_NHW, borders, borders, longest, longest, scale=scale, window_size=(-1, 0))
        return mixed_NHW.view_as(query_BTHW)
    rows = (x.flatten(0, 1).split(documents.lengths) for x in (query_BTHW, key_BTGW, value_BTGW))
    mixed = [_attend_rows(q[None], k[None], v[None], scale=scale)[0] for q, k, v in zip(*rows, strict=True)]
    return torch.cat(mixed).view_as(query_BTHW)


def _has_ragged_kernel(query_BTHW: torch.Tensor) -> bool:
    is_half, width = query_BTHW.dtype in (torch.bfloat16, torch.float16), query_BTHW.shape[-1]
    return query_BTHW.is_cuda and is_half and width <= 256 and width % 8 == 0


def _one_per_query_head(x_BSGW: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Each key-value head as often as query heads share it; a single one is not copied."""
    copies = num_heads // x_BSGW.shape[2]
    return x_BSGW[:, :, :, None].expand(-1, -1, -1, copies, -1).flatten(2, 3)


def _widen(x: torch.Tensor, width: int) -> torch.Tensor:
    return x if x.shape[-1] == width else F.pad(x, (0, width - x.shape[-1]))
