"""The check of the allocated nodes before the first step: every measurement in its order, and one verdict for all ranks."""

import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mai1.dist import World, gather_json
from mai1.preflight.clocks import Offset, clock_offsets, clock_problems
from mai1.preflight.config import Checks, PreflightConfig
from mai1.preflight.links import Links, collective_seconds, time_exchanges, time_products
from mai1.preflight.problem import Problem, first_ranks, named, nodes_of
from mai1.preflight.slow_ranks import Speeds, compare_speeds, partners_by_round
from mai1.preflight.storage import NodeStorage, measure_storage, storage_problems
from mai1.preflight.versions import version_problems, versions_here


@dataclass(slots=True)
class Preflight:
    """What was found, the same on every rank."""

    hosts: list[str]
    """Of each rank."""
    versions: dict[str, str]
    """Of rank 0."""
    directory: str
    clocks: list[Offset]
    """By rank."""
    storage: list[NodeStorage]
    """By node."""
    compute: Speeds | None = None
    exchange: Speeds | None = None
    num_rounds: int = 0
    """Of exchanges between pairs."""
    message_bytes: int = 0
    bandwidth_gb_s: dict[str, float] = field(default_factory=dict)
    """Bus bandwidth of each collective, in GB/s and rank."""
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    """That all this took."""

    @property
    def nodes(self) -> list[str]:
        """Each node once, in the order of ranks."""
        return list(dict.fromkeys(self.hosts))

    @property
    def unfit_nodes(self) -> list[str]:
        """Nodes to leave out, each once."""
        return list(dict.fromkeys(node for problem in self.problems for node in problem.nodes))

    def record(self) -> dict:
        """As JSON-able values; what was not timed is None, as JSON knows no infinity."""
        return {"is_fit": not self.problems, "unfit_nodes": self.unfit_nodes} | _finite(asdict(self))


def run_preflight(
    config: PreflightConfig,
    world: World,
    *,
    directory: Path,
    host: str = "",
    links: Links | None = None,
) -> Preflight:
    """Look at all nodes; every rank must call this and gets the same result.

    `host` names this rank's node, by default as the system does; `links` are what is timed.
    """
    started = time.monotonic()
    hosts, versions = _facts(host or socket.gethostname(), world)
    clocks = clock_offsets(world)
    nodes = first_ranks(hosts)
    storage = measure_storage(directory, world, node_ranks=nodes)
    found = Preflight(hosts, versions[0], str(directory), clocks, storage)
    found.problems += version_problems(versions, hosts)
    found.problems += clock_problems(clocks, hosts, limit_s=config.max_clock_skew_s)
    of_nodes = dict(zip(found.nodes, storage, strict=True))
    found.problems += storage_problems(of_nodes, config, directory=directory)
    if config.checks is Checks.full:
        links = links or Links(world, message_bytes=config.message_mib * 2**20)
        measure_speed(found, config, world, links)
    found.seconds = gather_json(time.monotonic() - started, world)[0]
    return found


def measure_speed(found: Preflight, config: PreflightConfig, world: World, links: Links) -> None:
    """How fast ranks compute and exchange data, into `found`; every rank must call this."""
    found.compute = compare_speeds(time_products(world, repeats=config.repeats), slow_factor=config.slow_factor)
    found.problems += _slow("compute", found.compute, found.hosts, "computes", config)
    if world.size == 1:
        return
    found.message_bytes = links.message_bytes
    share = (world.size - 1) / world.size
    for name, action, factor in (("all_reduce", links.all_reduce, 2 * share), ("all_to_all", links.all_to_all, share)):
        seconds = collective_seconds(action, world, repeats=config.repeats)
        found.bandwidth_gb_s[name] = factor * links.message_bytes / seconds / 1e9
    partners = partners_by_round(found.hosts)
    found.num_rounds = len(partners)
    times = time_exchanges(links, world, partners, repeats=config.repeats)
    found.exchange = compare_speeds(times, slow_factor=config.slow_factor)
    found.problems += _slow(
        "exchange", found.exchange, found.hosts, "exchanges data", config, is_sure=len(partners) > 1
    )
    found.problems += _below_floor(found.bandwidth_gb_s, found.exchange, found.hosts, config)


def _facts(host: str, world: World) -> tuple[list[str], list[dict[str, str]]]:
    gathered = gather_json({"host": host, "versions": versions_here()}, world)
    return [facts["host"] for facts in gathered], [facts["versions"] for facts in gathered]


def _slow(
    check: str, speeds: Speeds, hosts: Sequence[str], does: str, config: PreflightConfig, *, is_sure: bool = True
) -> list[Problem]:
    if not speeds.slow:
        return []
    by_time = sorted(speeds.slow, key=lambda rank: -speeds.best_s[rank])
    one_of = "" if is_sure else "one of "
    mend = "leave the node out" if is_sure else "each met no other node, so try again on three nodes or more"
    message = (
        f"{one_of}{named(by_time, hosts)} {does} {speeds.best_s[by_time[0]] / speeds.typical_s:.1f} times as slowly as the "
        f"median rank (preflight.slow_factor={config.slow_factor:g}), and all others would wait for it: {mend}"
    )
    return [Problem(check, message, nodes_of(speeds.slow, hosts) if is_sure else [])]


def _below_floor(
    bandwidth_gb_s: dict[str, float], exchange: Speeds, hosts: Sequence[str], config: PreflightConfig
) -> list[Problem]:
    problems = []
    for name, value in bandwidth_gb_s.items():
        floor = getattr(config, f"min_{name}_gb_s")
        if value < floor:
            cause = "a slow node is named above" if exchange.slow else "no single rank stands out: look at the network"
            reached = f"{name.replace('_', '-')} reaches {value:.2f} GB/s, below preflight.min_{name}_gb_s={floor:g}"
            message = f"{reached}: {cause}"
            problems.append(Problem(name, message, nodes_of(exchange.slow, hosts)))
    return problems


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
