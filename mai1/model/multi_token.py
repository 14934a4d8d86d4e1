"""Multi-token prediction: behind the model, one more block for each further token to predict, in training only.

Depth d sits at position t, knows the tokens up to t+d and predicts token t+d+1; depth 0 is the model itself.

Legend: B rows, T positions, D width.
"""

from dataclasses import replace

import torch
from torch import nn

from mai1.model.moe.router import Routing, TokenMarks
from mai1.model.norm import RMSNorm


class FurtherPrediction(nn.Module):
    """The module of one depth (DeepSeek-V3, arXiv 2412.19437, §2.2, eq. 21-22); embedding and output are the model's.

    The paper writes the hidden state before the embedding; the released weights, and all that read them, have it behind.
    What a depth starts from is normalised, as the model's own output is.
    """

    def __init__(self, block: nn.Module, *, depth: int, d_model: int, norm_eps: float) -> None:
        super().__init__()
        self.depth = depth
        self.embedding_norm = RMSNorm(d_model, eps=norm_eps)
        self.hidden_norm = RMSNorm(d_model, eps=norm_eps)
        self.merge = nn.Linear(2 * d_model, d_model, bias=False)
        self.block = block
        self.final_norm = RMSNorm(d_model, eps=norm_eps)

    def forward(
        self, hidden_BTD: torch.Tensor, embedding_BTD: torch.Tensor, *inputs_of_block: object
    ) -> tuple[torch.Tensor, Routing]:
        """The depth before's hidden states and the embeddings of the tokens at t+d, to its own hidden states and routing."""
        merged_BTD = self.merge(torch.cat((self.embedding_norm(embedding_BTD), self.hidden_norm(hidden_BTD)), dim=-1))
        x_BTD, routing = self.block(merged_BTD, *inputs_of_block)
        return self.final_norm(x_BTD), routing


def ahead(x_BT: torch.Tensor, segments_BT: torch.Tensor, *, depth: int) -> torch.Tensor:
    """What stands at t+depth, at position t; 0 where that is another document, padding (segment -1) or past the row.

    A document's last target opens the next document's segment, so predictions reach it and never what follows it.
    """
    num_positions = x_BT.shape[1]
    is_in_row_T = torch.arange(num_positions, device=x_BT.device) < num_positions - depth
    is_same_BT = (segments_BT.roll(-depth, 1) == segments_BT) & (segments_BT >= 0) & is_in_row_T
    return x_BT.roll(-depth, 1).masked_fill(~is_same_BT, 0)


def marks_ahead(marks: TokenMarks, segments_BT: torch.Tensor, *, depth: int) -> TokenMarks:
    """Where depth d has nothing to predict, its routing is no load and takes no place."""
    valid_BT, counted_BT = (ahead(x_BT, segments_BT, depth=depth) for x_BT in (marks.valid_BT, marks.counted_BT))
    return replace(marks, valid_BT=valid_BT, counted_BT=counted_BT)
