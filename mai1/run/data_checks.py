"""Is the data what it was? Damaged shards stop a run or are left out, changed data is refused or accepted, all of it recorded."""

from dataclasses import replace
from pathlib import Path

from mai1.data.integrity import Damage, OnDamagedShard, damaged_shards
from mai1.data.mixed_stream import check_rows_suffice
from mai1.dist import World, gather_json
from mai1.run.config import StageConfig
from mai1.run.datasets import StageData
from mai1.run.directory import note_event

MEMORY = "verified_shards.json"
"""In the run's directory: files whose SHA-256 was found as stated."""


def check_data(data: StageData, config: StageConfig, world: World) -> StageData:
    """The data once every shard's SHA-256 was compared, without what is damaged; the same on every rank.

    ValueError on every rank alike where damage shall stop the run, or where ranks see different data.
    """
    if data.train_shards:
        shards = [*data.train_shards, *data.heldout_shards]
        damages = damaged_shards(shards, memory=config.run.path / MEMORY, world=world)
        if damages and config.data.on_damaged_shard is OnDamagedShard.stop:
            more = f" and {len(damages) - 3} more" if len(damages) > 3 else ""
            raise ValueError(
                f"{'; '.join(damage.reason for damage in damages[:3])}{more}, or train without with "
                "data.on_damaged_shard=quarantine"
            )
        data = without(data, damages) if damages else data
        check_rows_suffice(data.rows, steps=config.train.steps, rows_per_step=config.batch.sequences_per_step)
    if len(set(gather_json(data.rows.fingerprint, world))) > 1:
        raise ValueError(f"ranks see different data at {_places(config)}: give every node the same files")
    for damage in data.left_out:
        world.say(f"WARNING: training without {damage.shard}: {damage.reason}")
        if world.is_main:
            note_event(config.run.path, {"event": "shard left out", "shard": damage.shard, "reason": damage.reason})
    return data


def without(data: StageData, damages: list[Damage]) -> StageData:
    """The same data but for the damaged shards: the order of rows is that of what is left."""
    bad = {damage.shard for damage in damages}
    train = [shard for shard in data.train_shards if str(shard.stem) not in bad]
    if not train:
        raise ValueError(f"every training shard is damaged: {damages[0].reason}")
    heldout = [pair for pair in zip(data.heldout_shards, data.heldout, strict=True) if str(pair[0].stem) not in bad]
    return replace(
        data,
        rows=data.rows.over(train),
        train_shards=train,
        heldout_shards=[shard for shard, _ in heldout],
        heldout=[source for _, source in heldout],
        left_out=[*data.left_out, *damages],
    )


def check_unchanged(
    data: StageData, config: StageConfig, *, before: str, step: int, checkpoint: Path, world: World
) -> None:
    """Refuse to go on with other rows than the checkpoint was trained on, or record that it was accepted."""
    now = data.rows.fingerprint
    if before == now:
        return
    if not config.data.accept_changes:
        raise ValueError(
            f"{checkpoint} was trained on other rows than {_places(config)} gives now: restore the data as it was, "
            "go on with the new with data.accept_changes=true, or start a new run with checkpoint.init_from"
        )
    world.say(f"WARNING: the data changed; from step {step} on, rows come in the order of the new data")
    if world.is_main:
        note_event(config.run.path, {"event": "data changed", "step": step, "before": before, "now": now})
        (config.run.path / "baselines.json").unlink(missing_ok=True)  # of the old held-out rows


def _places(config: StageConfig) -> str:
    return getattr(config.data, "path", None) or config.data.train
