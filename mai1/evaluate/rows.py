"""Which rows each rank measures: every n-th, and all ranks make the same number of forwards."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from mai1.data.batch import Batch, Row, collate
from mai1.data.heldout import empty_row
from mai1.dist import World
from mai1.model.sequence_parallel import place_in_rows
from mai1.model.transformer import MoETransformer

Forward = Callable[[Batch, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]
"""From a microbatch and what the pipeline stage before handed on: what goes on, and the losses summed."""


def one_by_one(batches: list[Batch], forward: Forward) -> None:
    """Forwards of a model that is whole on this rank."""
    for batch in batches:
        forward(batch, None)


@dataclass(kw_only=True, slots=True)
class Measuring:
    """How rows pass through a model that is spread over ranks."""

    model: MoETransformer
    world: World
    rows_at_once: int
    end_of_text_id: int
    num_stages: int = 1
    run: Callable[[list[Batch], Forward], None] = one_by_one
    """Passes microbatches through all pipeline stages: `Engine.eval_batch`."""
    on_batch: Callable[[], object] = lambda: None
    """Called before each batch: a sign of life to whoever watches."""

    def batches(self, rows: list[Row]) -> list[Batch]:
        """What this rank computes of some rows; all ranks get equally many batches, filled up with empty rows.

        Ranks that share rows take the same ones, and each its own slice of their positions; so do the ranks of pipeline
        stages. A row's number in `samples_B` is its place among those given, -1 for an empty one.
        """
        sequence_rank, sequence_size = place_in_rows(self.model.sequence_group)
        ranks_of_stage = self.world.size // self.num_stages
        num_readers = ranks_of_stage // sequence_size
        reader = self.world.rank % ranks_of_stage // sequence_size
        num_batches = math.ceil(len(rows) / (self.rows_at_once * num_readers))
        mine = list(range(reader, len(rows), num_readers))
        mine += [-1] * (num_batches * self.rows_at_once - len(mine))
        empty = empty_row(len(rows[0].ids) - 1, pad_id=self.end_of_text_id)
        batches = []
        for first in range(0, len(mine), self.rows_at_once):
            numbers = mine[first : first + self.rows_at_once]
            batch = collate(
                [empty if number < 0 else rows[number] for number in numbers],
                end_of_text_id=self.end_of_text_id,
                sequence_rank=sequence_rank,
                sequence_size=sequence_size,
            )
            batches.append(replace(batch, samples_B=torch.tensor(numbers)))
        return batches

    @torch.no_grad()
    def pass_through(self, batches: list[Batch], forward: Forward, *, title: str = "") -> None:
        """Run `forward` on every batch, with the model in evaluation mode; every rank must call this.

        With a `title` rank 0 shows how far it is.
        """
        was_training = self.model.training
        self.model.eval()
        with tqdm(total=len(batches), desc=title, disable=not title or not self.world.is_main, unit="batch") as bar:

            def counted(batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
                self.on_batch()
                bar.update()
                return forward(batch, x_BTD)

            self.run(batches, counted)
        self.model.train(was_training)
