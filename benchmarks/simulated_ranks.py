"""What one rank pays at start-up, for its data and for checkpoints as the number of ranks grows: 8 to 15,000 simulated ones.

usage: python benchmarks/simulated_ranks.py [--ranks 8 64 512 4096 15000] [--parts NAME ...]

Each figure is of a process of its own that takes itself for rank 0 of so many: torch's `fake` process group answers for the
others without a message, so what grows here grows in the rank's own work and memory. What ranks wait for each other is not
in it; `groups` counts the meetings instead. Seconds are of processor time, memory is the largest resident size less that
before. The engine is DeepSpeed's with a model of 16 tiny layers; checkpoints are planned for configs/model/mai1_500b.yaml.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch.distributed import distributed_c10d
from torch.testing._internal.distributed.fake_pg import FakeStore

from mai1.checkpoint import commit
from mai1.checkpoint.manifest import FORMAT, MANIFEST, VERSION, read_manifest
from mai1.checkpoint.model_plan import Holding, holding_all, plan_model_files
from mai1.checkpoint.pieces import optimizer_file, pieces_table
from mai1.checkpoint.saver import MAX_FILE_BYTES
from mai1.checkpoint.snapshot import runs_of
from mai1.checkpoint.tensor_file import as_json
from mai1.data.loader import BatchConfig, Loader
from mai1.data.shards import Shard, ShardWriter
from mai1.data.stream import TokenStream
from mai1.dist import World, gather_json, sum_over_ranks
from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine, Fragment, start_deepspeed
from mai1.engine.experts import expert_parallel_group
from mai1.engine.partitions import Cut
from mai1.engine.stages import split_blocks
from mai1.engine.topology import place_of, sequence_parallel_group
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.config import OptimConfig
from mai1.plan.layout import Layout
from mai1.plan.memory.held import HeldParameters
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.traffic.state import flat_groups, replicas_of
from mai1.plan.workload import Workload

RANKS = (8, 64, 512, 4096, 15000)
STAGES = {8: 2, 64: 4, 512: 8, 4096: 8, 15000: 15}
EXPERT_PARALLEL = 8
TINY = ModelConfig(
    vocab_size=384, d_model=64, num_layers=16, dense_width=96, max_positions=64,
    moe=MoEConfig(num_experts=8, top_k=2, expert_width=32),
)  # fmt: skip
KINDS = ("master", "exp_avg", "exp_avg_sq")


def world_of(num_ranks: int) -> World:
    """Rank 0 of so many, none of which exists."""
    os.environ |= {"RANK": "0", "WORLD_SIZE": str(num_ranks), "LOCAL_RANK": "0"}
    dist.init_process_group("fake", rank=0, world_size=num_ranks, store=FakeStore())
    return World(0, num_ranks, 0, torch.device("cpu"))


def large_model() -> ModelConfig:
    """The shape whose checkpoints are planned."""
    shape = OmegaConf.load("configs/model/mai1_500b.yaml")
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), shape))


def engine(num_ranks: int, **settings: int) -> dict:
    """Groups and DeepSpeed's engine, as `mai1 pretrain` makes them."""
    world, counted = world_of(num_ranks), count_groups()
    start_deepspeed()
    config = EngineConfig(**({"expert_parallel": EXPERT_PARALLEL} | settings))
    place = place_of(world, config)
    model = MoETransformer(
        TINY,
        expert_group=expert_parallel_group(config.expert_parallel, num_stages=config.pipeline_parallel),
        sequence_group=sequence_parallel_group(world, config),
        blocks=split_blocks(TINY, config.pipeline_parallel)[place.stage],
    )
    initialize(model, seed=1)
    Engine(model, config, OptimConfig(), world=world, microbatch=1, accumulation=1)
    return {"groups": len(counted)}


def count_groups() -> list:
    """Grows by one with every meeting of ranks to make a group."""
    made, original = [], distributed_c10d._new_group_with_tag

    def counted(ranks: object, *arguments: object, **options: object) -> object:
        made.append(ranks)
        return original(ranks, *arguments, **options)

    distributed_c10d._new_group_with_tag = counted
    return made


def data_order(num_ranks: int) -> dict:
    """One rank's rows of a step whose batch grows with the ranks, far into a run; the corpus stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        with ShardWriter(Path(folder) / "text", vocab_size=256) as writer:
            for number in range(20_000):
                writer.add(np.full(64 + number % 64, number % 256, dtype=np.int64))
            writer.close({})
        rows = TokenStream([Shard.open(Path(folder) / "text")], sequence_length=64, seed=1)
        config = BatchConfig(sequences_per_step=2 * num_ranks, sequences_per_microbatch=1)
        loader = Loader(rows, config, end_of_text_id=0, data_rank=num_ranks - 1, data_size=num_ranks)
        for step in range(100_000, 100_004):
            loader.microbatches(step)
    return {}


def exchange(num_ranks: int) -> dict:
    """What ranks tell each other in words: a mistake or none, ten times, and what each holds, once; and ten sums."""
    world = world_of(num_ranks)
    for _ in range(10):
        gather_json(None, world)
        sum_over_ranks([1.0] * 20, world)
    holding = holding_all(large_model())
    gather_json({"parts": holding.parts, "first_expert": 0, "num_experts": 24}, world)
    return {}


def checkpoint_plan(num_ranks: int) -> dict:
    """Which rank writes which of a large model's files, on every rank."""
    model, whole = large_model(), holding_all(large_model())
    each = model.moe.num_experts // EXPERT_PARALLEL
    holdings = [Holding(whole.parts, rank % EXPERT_PARALLEL * each, each) for rank in range(num_ranks)]
    plan = plan_model_files(model, holdings, max_bytes=MAX_FILE_BYTES, bytes_per_element=2)
    return {"files": len(plan), "mine": sum(entry.writer == 0 for entry in plan)}


def manifest(num_ranks: int, *, zero_stage: int) -> dict:
    """What rank 0 writes of a large model's checkpoint, files and pieces, and every rank of a resumed run reads."""
    layout = Layout(num_devices=num_ranks, expert=EXPERT_PARALLEL, zero_stage=zero_stage)
    rows = sharded_rows(layout) if zero_stage == 3 else sliced_rows(layout, num_ranks)
    entry = {"bytes": 400 * 2**20, "sha256": "0" * 64}
    files = {optimizer_file(rank, num_ranks=num_ranks, part=0): entry | {"rank": rank} for rank in range(num_ranks)}
    head = {"step": 1, "tokens": 1, "optimizer_step": 1, "world_size": num_ranks, "expert_parallel": EXPERT_PARALLEL}
    head |= {"format": FORMAT, "version": VERSION}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST
        path.write_bytes(as_json(head | {"files": files, "optimizer": pieces_table(rows)}))
        table = read_manifest(path.parent)["optimizer"]
        num_runs = sum(len(runs) for names in table.values() for runs in names.values())
        return {"told": len(rows), "runs": num_runs, "manifest MB": path.stat().st_size / 1e6}


def sharded_rows(layout: Layout) -> list[list]:
    """What first ranks of groups tell where each parameter is cut over all of its group."""
    rows = []
    for replicas in replicas_of(held_by(layout), layout):
        every = layout.expert if replicas.group == "expert_data" else 1
        for first in range(every):
            ranks = range(first, layout.num_devices, every)
            for tensor in replicas.held.tensors:
                cut = Cut(tensor.numel, -(-tensor.numel // len(ranks)), ranks)
                fragment = Fragment(tensor.name, 0, torch.empty(0), {}, cut)
                runs = runs_of(fragment, first * tensor.numel, rank=first, part=0)
                rows += [[kind, tensor.name, *run] for kind in KINDS for run in runs]
    return rows


def held_by(layout: Layout) -> HeldParameters:
    """What every rank holds of the large model before ZeRO shards it."""
    return parameters_of(Workload(model=large_model(), sequence_length=1, sequences_per_step=1), layout, 0)


def sliced_rows(layout: Layout, num_ranks: int) -> list[list]:
    """Rows of the table where each rank has a slice of the concatenated parameters."""
    rows = []
    for replicas in replicas_of(held_by(layout), layout):
        copies = layout.expert if replicas.group == "expert_data" else 1  # of other experts
        size = -(-sum(flat_groups(replicas, layout)) // replicas.size)
        place = 0
        for tensor in replicas.held.tensors:
            start = 0
            while start < tensor.numel:
                rank, used = divmod(place, size)
                numel = min(size - used, tensor.numel - start)
                for copy in range(copies):
                    run = [copy * tensor.numel + start, numel, 1, rank * copies + copy, 0, 0]
                    rows += [[kind, tensor.name, *run] for kind in KINDS]
                start, place = start + numel, place + numel
    return rows


def reports(num_ranks: int) -> dict:
    """Rank 0 waits until all have written their files, and reads what they say."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        stage = commit.make_stage(Path(folder) / "step_00000001")
        entry = {"bytes": 400 * 2**20, "sha256": "0" * 64, "rank": 0}
        content = as_json({"files": {optimizer_file(0, num_ranks=num_ranks, part=0): entry}, "rows": []})
        for rank in range(num_ranks):
            (stage / commit.REPORTS / f"rank-{rank:05d}.json").write_bytes(content)
        found = commit.wait_for_reports(stage, num_ranks=num_ranks, timeout_s=60, is_aborted=lambda: False)
        assert len(found) == num_ranks
    return {}


PARTS: dict[str, Callable[[int], dict]] = {
    "exchange": exchange,
    "engine, ZeRO-2": lambda n: engine(n, zero_stage=2),
    "engine, ZeRO-3": lambda n: engine(n, zero_stage=3),
    "engine, pipeline": lambda n: engine(n, zero_stage=1, pipeline_parallel=STAGES[n], expert_parallel=4),
    "engine, sequences": lambda n: engine(n, zero_stage=2, sequence_parallel=4),
    "data order": data_order,
    "checkpoint plan": checkpoint_plan,
    "manifest, ZeRO-2": lambda n: manifest(n, zero_stage=2),
    "manifest, ZeRO-3": lambda n: manifest(n, zero_stage=3),
    "reports": reports,
}


def measure(part: str, num_ranks: int) -> dict:
    """Seconds, MB and what the part itself counts; of this process."""
    memory, started = resident_mb(), time.process_time()
    counted = PARTS[part](num_ranks)
    return {"s": time.process_time() - started, "MB": resident_mb() - memory} | counted


def resident_mb() -> float:
    """The largest there has been of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a line for every part and number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--measure", nargs=2, metavar=("PART", "RANKS"), help="one figure, in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], int(options.measure[1]))))
        return
    for part in options.parts:
        for num_ranks in options.ranks:
            command = [sys.executable, __file__, "--measure", part, str(num_ranks)]
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(ended.stdout.splitlines()[-1])
            figures = "  ".join(f"{value:12,.2f} {key}" for key, value in found.items())
            print(f"{part:20} {num_ranks:6,} ranks  {figures}", flush=True)


if __name__ == "__main__":
    main()
