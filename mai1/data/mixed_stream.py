"""Training rows that are each of one source, in a mixture of one's own choice.

Without settings the documents of all sources are shuffled together (`stream.py`). With any, `mixture_plan.py` says which
source each row is from, and each source has an order of its own, shuffled anew each of its epochs.
"""

import hashlib
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

from mai1.data.batch import Row
from mai1.data.mixture import MixtureChange, MixtureConfig, OnExhausted
from mai1.data.mixture_plan import MixturePlan
from mai1.data.shards import Shard
from mai1.data.shares import LEAST, WHOLE, apportion, shares_of
from mai1.data.stream import TokenStream

STAIRS = 64
"""Equal stretches of constant shares into which a gradual change is divided."""


class MixedStream:
    """Random access to rows that are each of one source."""

    def __init__(
        self,
        shards: list[Shard],
        config: MixtureConfig,
        *,
        sequence_length: int,
        seed: int,
        rows_per_step: int,
        gone: frozenset[str] = frozenset(),
        folder: Path | None = None,
    ) -> None:
        """Sources that the settings name may be `gone` because their shards are damaged: their share goes to the others.

        `folder` is as `TokenStream` has it.
        """
        self.config, self.rows_per_step, self._shards, self._gone = config, rows_per_step, shards, gone
        self._folder = folder
        self.sequence_length, self.seed = sequence_length, seed
        self.source_names = [shard.stem.name for shard in shards]
        _check_names(config, [*self.source_names, *gone])
        changes = self._changes()
        used = [any(shares[source] for _, shares in changes) for source in range(len(shards))]
        self._streams = [self._stream(shard) if is_used else None for shard, is_used in zip(shards, used, strict=True)]
        self.rows_per_epoch = sum(stream.rows_per_epoch for stream in self._streams if stream)
        self._caps = [self._cap(name, stream) for name, stream in zip(self.source_names, self._streams, strict=True)]
        self.fingerprint = self._make_fingerprint(changes)
        plan_seed = _seed_of(seed, "plan")
        self.plan = MixturePlan(self._caps, seed=plan_seed, repeats=config.on_exhausted is OnExhausted.repeat)
        self._num_decided = 0
        if config.online.every_steps:
            self.plan.extend(changes[0][1], config.online.warmup_steps * rows_per_step)
            return
        ends = [first * rows_per_step for first, _ in changes[1:]]
        for (_, shares), end in zip(changes, [*ends, None], strict=True):
            self.plan.extend(shares, end)

    def read(self, sample: int) -> Row:
        """The row with this number. ValueError names row and file that cannot be read, or says that all is spent."""
        try:
            place = self.plan.place_of(sample)
            row = self._streams[place.source].row(place.number)
        except ValueError as error:
            raise ValueError(
                f"row {sample} of the training data: {error}; the run goes on from its last checkpoint"
            ) from error
        return replace(row, sources=place.source)

    def over(self, shards: list[Shard]) -> "MixedStream":
        """The same mixture of what is left of the shards."""
        left = {shard.stem.name for shard in shards}
        settings = {"sequence_length": self.sequence_length, "seed": self.seed, "rows_per_step": self.rows_per_step}
        gone = self._gone | (set(self.source_names) - left)
        return MixedStream(shards, self.config, **settings, gone=gone, folder=self._folder)

    def follow(self, history: list[list[int]]) -> None:
        """Lay out the stretches of online mixing that have been decided: shares of each, one after the other."""
        online = self.config.online
        for number in range(self._num_decided, len(history)):
            end = online.warmup_steps + (number + 1) * online.every_steps
            self.plan.extend(shares_of(history[number]), end * self.rows_per_step)
        self._num_decided = len(history)

    def weights_at(self, step: int) -> dict[str, float]:
        """Each source's share of the rows at a step, counted in data."""
        shares = self.plan.shares_at(step * self.rows_per_step)
        return {name: share / WHOLE for name, share in zip(self.source_names, shares, strict=True)}

    def epochs_before(self, step: int) -> dict[str, float]:
        """How often each source in use was seen before a step, counted in data."""
        given = self.plan.given_before(step * self.rows_per_step)
        counted = zip(self.source_names, given, self._streams, strict=True)
        return {name: rows / stream.rows_per_epoch for name, rows, stream in counted if stream}

    @property
    def num_rows(self) -> int | None:
        """Rows that there are before every source is spent; None: no end."""
        if self.plan.is_exhausted:
            return self.plan.end
        used = [cap for cap, stream in zip(self._caps, self._streams, strict=True) if stream]
        if self.config.online.every_steps and None not in used and self.config.on_exhausted is OnExhausted.stop:
            return max(0, sum(used) - len(used))  # each may keep one row
        return None

    def _changes(self) -> list[tuple[int, list[int]]]:
        """Steps and the shares that hold from them on."""
        weights = [self.config.weights.get(name, 0.0) for name in self.source_names]
        if not self.config.weights:
            power = 1 / self.config.temperature
            weights = [shard.num_tokens**power for shard in self._shards]
        changes = [(0, self._shares(weights, "data.mixture.weights"))]
        for change in self.config.curriculum:
            target = self._shares(
                [change.weights[name] for name in self.source_names], "data.mixture.curriculum.weights"
            )
            changes += _ramp(changes[-1][1], target, change)
        return changes

    def _shares(self, weights: list[float], key: str) -> list[int]:
        if not any(weights):
            raise ValueError(
                f"{key} gives every source that is there 0: give at least one of {', '.join(self.source_names)} more"
            )
        shares = apportion(weights, WHOLE)
        for name, weight, share in zip(self.source_names, weights, shares, strict=True):
            if weight and share < LEAST:
                raise ValueError(
                    f"{key}.{name}={weight:g} would be less than a row in a million: use 0 to leave it out, or at least "
                    f"{sum(weights) * LEAST / WHOLE:.2g}"
                )
        return shares

    def _stream(self, shard: Shard) -> TokenStream:
        if shard.num_tokens <= self.sequence_length:
            raise ValueError(
                f"source {shard.stem.name} holds {shard.num_tokens} tokens, less than a row of "
                f"data.sequence_length={self.sequence_length} and the one after it: leave it out with "
                f"data.mixture.weights.{shard.stem.name}=0, or use a shorter sequence"
            )
        seed = _seed_of(self.seed, f"source {shard.stem.name}")
        return TokenStream([shard], sequence_length=self.sequence_length, seed=seed, folder=self._folder)

    def _cap(self, name: str, stream: TokenStream | None) -> int | None:
        """Rows of a source that its epochs allow."""
        epochs = self.config.source_epochs.get(name, self.config.max_epochs)
        return int(Fraction(epochs) * stream.rows_per_epoch) if epochs and stream else None

    def _make_fingerprint(self, changes: list[tuple[int, list[int]]]) -> str:
        """Changes when the shards, the sequence length, the seed or anything about the mixture does."""
        files = [(shard.stem.name, shard.identity) for shard in self._shards]
        online = sorted(asdict(self.config.online).items()) if self.config.online.every_steps else None
        settings = (self.sequence_length, self.seed, self.rows_per_step, self.config.on_exhausted.value)
        return hashlib.sha256(f"{files} {settings} {changes} {self._caps} {online}".encode()).hexdigest()


def open_rows(
    shards: list[Shard],
    mixture: MixtureConfig,
    *,
    sequence_length: int,
    seed: int,
    rows_per_step: int,
    gone: frozenset[str] = frozenset(),
    folder: Path | None = None,
) -> TokenStream | MixedStream:
    """The training rows of some shards: all shuffled together, or mixed as configured."""
    settings = {"sequence_length": sequence_length, "seed": seed, "folder": folder}
    if mixture.is_plain:
        return TokenStream(shards, **settings)
    return MixedStream(shards, mixture, **settings, rows_per_step=rows_per_step, gone=gone)


def check_rows_suffice(rows: object, *, steps: int, rows_per_step: int) -> None:
    """ValueError, with the tokens missing, when the mixture's limits end before the run does."""
    if not isinstance(rows, MixedStream) or rows.num_rows is None or rows.num_rows >= steps * rows_per_step:
        return
    wanted, there = (count * rows.sequence_length for count in (steps * rows_per_step, rows.num_rows))
    raise ValueError(
        f"train.steps={steps} needs {wanted:,} tokens but data.mixture.max_epochs allows {there:,}, {wanted - there:,} too "
        f"few: use train.steps={rows.num_rows // rows_per_step}, more epochs or more text, or "
        "data.mixture.on_exhausted=repeat"
    )


def _ramp(before: list[int], target: list[int], change: MixtureChange) -> list[tuple[int, list[int]]]:
    """A change in equal stairs, each with the middle of the straight line above it."""
    stairs, found = min(STAIRS, change.ramp_steps), []
    for stair in range(stairs):
        parts = [
            old * (2 * stairs - 2 * stair - 1) + new * (2 * stair + 1) for old, new in zip(before, target, strict=True)
        ]
        found.append((change.from_step + change.ramp_steps * stair // stairs, shares_of(parts)))
    return [*found, (change.from_step + change.ramp_steps, target)]


def _check_names(config: MixtureConfig, known: list[str]) -> None:
    """Every name must be a source, and who gives weights gives one to every source."""
    given = {"weights": config.weights, "source_epochs": config.source_epochs}
    given |= {f"curriculum[{i}].weights": change.weights for i, change in enumerate(config.curriculum)}
    for key, names in given.items():
        if unknown := sorted(names.keys() - set(known)):
            raise ValueError(f"data.mixture.{key}.{unknown[0]} names no source: use {', '.join(sorted(known))}")
        if key != "source_epochs" and (names or key != "weights") and (missing := sorted(set(known) - names.keys())):
            raise ValueError(
                f"data.mixture.{key} gives no weight to {', '.join(missing)}: give it one, 0 to leave it out"
            )


def _seed_of(seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest())
