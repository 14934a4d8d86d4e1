"""Open the reference losses that a run reads: all of its training shards have them, of one model, or none are read."""

from mai1.data.shards import Shard
from mai1.train.selection import SelectionConfig, SelectionMethod


def open_references(shards: list[Shard], selection: SelectionConfig) -> None:
    """Let every shard read its reference losses, where all were scored.

    ValueError where the selection needs them and they are missing, damaged, or of different models.
    """
    method = selection.method
    for shard in shards:
        shard.open_reference(is_learned_from=method is not SelectionMethod.none)
    missing = [shard.stem.name for shard in shards if shard.reference is None]
    if (
        method is SelectionMethod.rho
        and missing
        or method is SelectionMethod.drop_learned
        and 0 < len(missing) < len(shards)
    ):
        raise ValueError(
            f"selection.method={method.value} needs reference losses of every source, but {', '.join(missing[:5])} "
            f"{'has' if len(missing) == 1 else 'have'} none: run `mai1 score checkpoint=RUN data={shards[0].stem.parents[1]}` "
            "first"
        )
    models = {shard.reference.model: shard.stem.name for shard in shards if shard.reference is not None}
    if len(models) > 1:
        raise ValueError(
            f"the reference losses of {' and '.join(sorted(models.values())[:2])} are of different models, so they cannot be "
            "compared: run `mai1 score` with overwrite=true"
        )
    if missing:  # figures of some sources and not of others would tell nothing
        for shard in shards:
            shard.reference = None
