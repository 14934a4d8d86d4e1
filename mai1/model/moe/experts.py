"""The experts: many SwiGLU networks whose weights are stacked, applied to rows grouped by expert.

Legend: R routed rows, D width, F expert width, E experts held here (all of them without expert parallelism).
"""

import torch
import torch.nn.functional as F
from torch import nn


class Experts(nn.Module):
    """Stacked weights `gate_up [E, 2F, D]` and `down [E, D, F]`; row r of the input belongs to exactly one expert."""

    def __init__(self, d_model: int, *, width: int, num_local_experts: int, first_expert: int) -> None:
        super().__init__()
        self.first_expert = first_expert
        """Global id of the first expert held here."""
        self.gate_up = nn.Parameter(torch.empty(num_local_experts, 2 * width, d_model))
        self.down = nn.Parameter(torch.empty(num_local_experts, d_model, width))

    def forward(self, rows_RD: torch.Tensor, rows_per_expert_E: torch.Tensor) -> torch.Tensor:
        """Apply expert e to its `rows_per_expert_E[e]` consecutive rows; no expert needs to have any."""
        if rows_RD.is_cuda and rows_RD.dtype is torch.bfloat16:
            return self._grouped(rows_RD, rows_per_expert_E)
        return self._one_by_one(rows_RD, rows_per_expert_E)

    def _grouped(self, rows_RD: torch.Tensor, rows_per_expert_E: torch.Tensor) -> torch.Tensor:
        """One grouped matrix product per projection, without a host synchronisation."""
        ends_E = rows_per_expert_E.cumsum(0, dtype=torch.int32)
        gate_RF, up_RF = torch._grouped_mm(rows_RD, self.gate_up.transpose(1, 2), offs=ends_E).chunk(2, dim=-1)
        return torch._grouped_mm(F.silu(gate_RF) * up_RF, self.down.transpose(1, 2), offs=ends_E)

    def _one_by_one(self, rows_RD: torch.Tensor, rows_per_expert_E: torch.Tensor) -> torch.Tensor:
        """A plain loop: the fastest way on a CPU. Unbinding once makes one stacked gradient instead of E padded ones."""
        answers = []
        rows_of = rows_RD.split(rows_per_expert_E.tolist())
        for rows, gate_up, down in zip(rows_of, self.gate_up.unbind(), self.down.unbind(), strict=True):
            gate, up = F.linear(rows, gate_up).chunk(2, dim=-1)
            answers.append(F.linear(F.silu(gate) * up, down))
        return torch.cat(answers)
