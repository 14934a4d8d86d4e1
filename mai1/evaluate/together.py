"""Generation by all ranks of a run together: from the live weights, wherever they are, and nothing is gathered as a whole.

All ranks make the same number of forwards, which expert parallelism and ZeRO-3 need: one whose rows have ended goes on with
a row that nobody reads until all ranks are done. Where a rank holds whole rows and all layers it has a key-value cache;
with slices of rows or pipeline stages every step computes the rows anew.

Legend: B rows, U positions of this rank's slice, D width.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from mai1.data.batch import Batch, Row, collate
from mai1.dist import World, gather_json, sum_over_ranks
from mai1.evaluate.rows import Forward, one_by_one
from mai1.generate.generation import CachedRows, Choose, Generation, allowed_ids, check_room
from mai1.generate.sampling import SamplingConfig
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.sequence_parallel import place_in_rows, sum_over_slices
from mai1.model.transformer import MoETransformer


@torch.no_grad()
def generate_together(
    model: MoETransformer,
    prompts: list[list[int]],
    config: SamplingConfig,
    *,
    stop_ids: list[int],
    num_text_ids: int,
    world: World,
    num_stages: int = 1,
    run: Callable[[list[Batch], Forward], None] = one_by_one,
) -> list[list[int]]:
    """What `generate` gives of a whole model, on every rank. Every rank must call this with the same prompts.

    Ranks that share no rows take every n-th prompt; those of `num_stages` pipeline stages, through which `run` passes
    rows (`Engine.eval_batch`), the same ones.
    """
    check_room(prompts, config, max_positions=model.config.max_positions)
    sequence_size, ranks_of_stage = place_in_rows(model.sequence_group)[1], world.size // num_stages
    num_readers, reader = ranks_of_stage // sequence_size, world.rank % ranks_of_stage // sequence_size
    mine = list(range(len(prompts)))[reader::num_readers]
    my_prompts = [prompts[number] for number in mine] or [prompts[0][:1]]
    capacity = max(map(len, my_prompts)) + config.max_new_tokens
    if num_stages == 1 and sequence_size == 1:
        cache = KeyValueCache(num_layers=model.config.num_layers, capacity=capacity)
        rows = CachedRows(model, my_prompts, cache)
    else:
        rows = WholeRows(model, my_prompts, capacity, world=world, num_stages=num_stages, run=run)
    allowed_V = allowed_ids(model.config.vocab_size, num_text_ids, stop_ids, device=world.device)
    generation = Generation(my_prompts, config, rows, allowed_V=allowed_V, stop_ids=stop_ids)
    if not mine:
        generation.close(0)
    was_training = model.training
    model.eval()
    while sum_over_ranks([float(not generation.is_done)], world)[0]:
        generation.step()
    model.train(was_training)
    said = {str(number): generation.completions[place].ids for place, number in enumerate(mine)}
    of_all = {number: ids for part in gather_json(said, world) for number, ids in part.items()}
    return [of_all[str(number)] for number in range(len(prompts))]


class WholeRows:
    """Reads rows anew at every step, padded on the right to the length that they can reach at most."""

    def __init__(
        self,
        model: MoETransformer,
        prompts: list[list[int]],
        length: int,
        *,
        world: World,
        num_stages: int,
        run: Callable[[list[Batch], Forward], None],
    ) -> None:
        self._model, self._world, self._run = model, world, run
        self._rows, self._is_begun = [list(prompt) for prompt in prompts], False
        self._slice, self._num_slices = place_in_rows(model.sequence_group)
        self._length = -(-length // self._num_slices) * self._num_slices
        self._num_stages, ranks_of_stage = num_stages, world.size // num_stages
        self._speaker = world.size - ranks_of_stage + world.rank % ranks_of_stage
        """The rank that reads the same rows at the last pipeline stage."""

    def choose_next(self, tokens_BT: torch.Tensor, choose: Choose) -> torch.Tensor:
        """See `Reader`."""
        if self._is_begun:
            for row, token in zip(self._rows, tokens_BT[:, -1].tolist(), strict=True):
                row.append(token)
        self._is_begun = True
        chosen_B = torch.zeros(len(self._rows), dtype=torch.int64, device=self._world.device)

        def forward(batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
            batch = batch.to(self._world.device)
            where = {"positions_BT": batch.positions_BT, "segments_BT": batch.segments_BT}
            output = self._model(batch.tokens_BT, **where, x_BTD=x_BTD)
            if output.unembedding_VD is not None:
                logits_BV = F.linear(self._last_of(output.hidden_BTD), output.unembedding_VD)
                chosen_B.copy_(choose(logits_BV.float()))
            return output.hidden_BTD, output.hidden_BTD.new_zeros(())

        self._run([self._batch()], forward)
        return self._of_speaker(chosen_B)

    def keep(self, rows: list[int]) -> None:
        """See `Reader`."""
        self._rows = [self._rows[row] for row in rows]

    def _batch(self) -> Batch:
        rows = []
        for row in self._rows:
            ids = np.zeros(self._length + 1, dtype=np.int64)
            ids[: len(row)] = row
            nothing = np.zeros(self._length + 1, dtype=np.uint8)
            rows.append(Row(ids, nothing, num_valid=len(row), starts=nothing.astype(bool)))
        return collate(rows, end_of_text_id=0, sequence_rank=self._slice, sequence_size=self._num_slices)

    def _last_of(self, hidden_BUD: torch.Tensor) -> torch.Tensor:
        """The hidden state of each row's last token, `[B, D]`, whichever rank's slice it is in."""
        place_B = torch.tensor([len(row) - 1 for row in self._rows], device=hidden_BUD.device)
        place_B = place_B - self._slice * hidden_BUD.shape[1]
        is_here_B = (place_B >= 0) & (place_B < hidden_BUD.shape[1])
        last_BD = hidden_BUD[torch.arange(len(place_B)), place_B.clamp(0, hidden_BUD.shape[1] - 1)]
        return sum_over_slices(last_BD * is_here_B[:, None], self._model.sequence_group)

    def _of_speaker(self, chosen_B: torch.Tensor) -> torch.Tensor:
        """What the last pipeline stage has chosen; readers may hold different numbers of rows."""
        if self._num_stages == 1:
            return chosen_B
        of_all = gather_json(chosen_B.tolist(), self._world)
        return torch.tensor(of_all[self._speaker], device=chosen_B.device)
