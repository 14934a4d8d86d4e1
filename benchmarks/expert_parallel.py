"""What expert parallelism costs: one MoE layer on several local ranks, against the same layer without, and the bare exchange.

usage: python benchmarks/expert_parallel.py [--ranks 2] [--rounds 15] [--tokens 2048] [--kernels torch]

Every rank has one thread, its own tokens and the same weights. `local`: every rank holds all experts. `spread`: each holds
its share, rows travel by all-to-all. `bare exchange`: nothing but the four all-to-alls of a forward and backward, with the
very splits that the routing gave, and the exchange of counts. Best round of the slowest rank, all in turn; then where the
time of `spread` goes.

Bound by: bytes. Rows of `tokens * top_k * width * 4` bytes cross four times; over gloo on one machine that is memory copies and
sockets, work for the same cores that compute, so that here little of it can hide behind the shared experts.
"""

import argparse
import multiprocessing
import os
import socket
import time
from collections.abc import Callable

import torch
import torch.distributed as dist

from mai1.dist import keep_freed_memory, start_world, stop_world
from mai1.model.moe.compiled_experts import compile_experts
from mai1.model.moe.dispatch import plan_trips
from mai1.model.moe.grouping import group_by_expert
from mai1.model.moe.layer import MoEConfig, MoELayer

WIDTH, NUM_EXPERTS, TOP_K, EXPERT_WIDTH = 256, 16, 4, 256


def main() -> None:
    """Start the ranks; the first one prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds of each contender")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of each rank")
    parser.add_argument(
        "--kernels", choices=["torch", "compiled"], default="torch", help="what computes experts, on CPUs"
    )
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=run_rank, args=(rank, port, given)) for rank in range(given.ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def run_rank(rank: int, port: int, given: argparse.Namespace) -> None:
    """Time every contender on this rank."""
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(given.ranks),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    world = start_world()
    keep_freed_memory()
    local, spread = _layers(rank, given.ranks)
    if given.kernels == "compiled":
        library = compile_experts(d_model=WIDTH, expert_width=EXPERT_WIDTH, key="--kernels")
        local.experts.kernels = spread.experts.kernels = library
    x = torch.randn(1, given.tokens, WIDTH, generator=torch.Generator().manual_seed(rank))
    torch.testing.assert_close(spread(x)[0], local(x)[0], atol=1e-4, rtol=1e-4)
    contenders = {
        "local": lambda: _forward_backward(local, x),
        "spread": lambda: _forward_backward(spread, x),
        "bare exchange": _bare_exchange(spread, x),
    }
    best = _time_in_turn(contenders, given.rounds)
    if world.is_main:
        megabytes = given.tokens * TOP_K * WIDTH * 4 / 1e6 * (given.ranks - 1) / given.ranks
        print(f"{given.ranks} ranks of 1 thread, {given.tokens} tokens each, {4 * megabytes:.0f} MB leave each rank\n")
        print("| | ms |\n|---|---|")
        for name, seconds in best.items():
            print(f"| {name} | {seconds * 1e3:.1f} |")
        print(f"| spread - local | {(best['spread'] - best['local']) * 1e3:.1f} |")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(5):
            contenders["spread"]()
    if world.is_main:
        _print_profile(profile)
    stop_world()


def _layers(rank: int, num_ranks: int) -> tuple[MoELayer, MoELayer]:
    """The same layer with all experts here and with this rank's share of them."""
    config = MoEConfig(num_experts=NUM_EXPERTS, top_k=TOP_K, expert_width=EXPERT_WIDTH, num_shared_experts=1)
    torch.manual_seed(0)
    local = MoELayer(config, d_model=WIDTH, expert_group=None)
    for weight in local.parameters():
        torch.nn.init.normal_(weight, std=WIDTH**-0.5)
    spread = MoELayer(config, d_model=WIDTH, expert_group=dist.group.WORLD)
    share = NUM_EXPERTS // num_ranks
    mine = slice(rank * share, (rank + 1) * share)
    for name, tensor in local.state_dict().items():
        spread.state_dict()[name].copy_(tensor[mine] if name.startswith("experts.") else tensor)
    return local, spread


def _forward_backward(layer: MoELayer, x: torch.Tensor) -> None:
    layer.zero_grad(set_to_none=True)
    layer(x.clone().requires_grad_())[0].sum().backward()


def _bare_exchange(layer: MoELayer, x: torch.Tensor) -> Callable[[], None]:
    grouping = group_by_expert(layer.router(x[0]).experts_NK, num_experts=NUM_EXPERTS)
    (trip,) = plan_trips(grouping.rows_per_expert_E, group=dist.group.WORLD)
    here = torch.randn(sum(trip.rows_sent), WIDTH)
    there = torch.empty(sum(trip.rows_received), WIDTH)

    def exchange() -> None:
        plan_trips(grouping.rows_per_expert_E, group=dist.group.WORLD)
        for _ in range(2):
            dist.all_to_all_single(there, here, trip.rows_received, trip.rows_sent)
            dist.all_to_all_single(here, there, trip.rows_sent, trip.rows_received)

    return exchange


def _time_in_turn(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, run in contenders.items():
            dist.barrier()
            started = time.perf_counter()
            run()
            slowest = torch.tensor(time.perf_counter() - started)
            dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
            best[name] = min(best[name], float(slowest))
    return best


def _print_profile(profile: torch.profiler.profile) -> None:
    rows = sorted(profile.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    print("\n| spread, by operation | share | calls |\n|---|---|---|")
    for row in rows[:14]:
        print(f"| {row.key} | {row.self_cpu_time_total / total:.1%} | {row.count // 5} |")


if __name__ == "__main__":
    main()
