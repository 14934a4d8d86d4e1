"""Online mixing in the loop: what each source's loss was over an interval decides its share of the next one.

All of it is in `TrainerState.mixing`, so that rows are a function of the checkpoint and their number: `history`, the parts of
each interval; `rewards` and `turn` of the bandit; `nats` and `targets` of the interval so far. Intervals are counted in data:
going back to a checkpoint restores the bandit, but the rows that were laid out stay so, and are left out.
"""

from mai1.checkpoint.checkpoint import TrainerState
from mai1.data.loader import Rows
from mai1.data.mixed_stream import MixedStream
from mai1.data.online_mixing import as_parts, policy, smooth
from mai1.dist import World, gather_json
from mai1.train.step_sums import StepSums


class OnlineMixing:
    """Follows the losses of a run's sources."""

    def __init__(self, rows: MixedStream, world: World) -> None:
        self._rows, self._world, self._config = rows, world, rows.config.online
        self._arms = [source for source, share in enumerate(rows.plan.shares_at(0)) if share]

    @classmethod
    def of(cls, rows: Rows, world: World) -> "OnlineMixing | None":
        """None where the weights do not follow the losses."""
        is_online = isinstance(rows, MixedStream) and rows.config.online.every_steps
        return cls(rows, world) if is_online else None

    def resume(self, state: TrainerState) -> None:
        """Lay out what was decided; a run that had no online mixing before goes on with its weights for an interval."""
        since = state.step + state.data_offset - self._config.warmup_steps
        num_intervals = 0 if since < 0 else since // self._config.every_steps + 1
        history = state.mixing.get("history", [])
        history += [list(self._rows.plan.shares_at(0))] * (num_intervals - len(history))
        state.mixing["history"] = history
        self._rows.follow(history)

    def learn(self, state: TrainerState, sums: StepSums) -> None:
        """From a step that was applied."""
        for key, values in (("nats", sums.nats_S), ("targets", sums.targets_S)):
            before = state.mixing.get(key) or [0.0] * len(values)
            state.mixing[key] = [sum(pair) for pair in zip(before, values, strict=True)]

    def decide(self, state: TrainerState, *, done: int) -> None:
        """After so many steps of data: at an interval's end, the shares of the next one. Every rank must call this."""
        since = done - self._config.warmup_steps
        if since % self._config.every_steps:
            return
        nats, targets = state.mixing.pop("nats", []), state.mixing.pop("targets", [])
        if since < 0:
            return
        means = {source: nats[source] / targets[source] for source in self._arms if nats and targets[source]}
        rewards, turn = state.mixing.get("rewards", [0.0] * len(self._arms)), state.mixing.get("turn", 0) + 1
        rewards = [
            smooth(reward, means[source], self._config.smoothing) if source in means else reward
            for source, reward in zip(self._arms, rewards, strict=True)
        ]
        parts = dict(zip(self._arms, gather_json(as_parts(policy(rewards, turn)), self._world)[0], strict=True))
        history = state.mixing.setdefault("history", [])
        history.append([parts.get(source, 0) for source in range(len(self._rows.source_names))])
        state.mixing |= {"rewards": rewards, "turn": turn}
        self._rows.follow(history)
