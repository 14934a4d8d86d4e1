"""The check of the nodes on real ranks, with one that is made slow, odd or late."""

import json
import time
from pathlib import Path

import pytest
import torch

from mai1.dist import World, gather_json
from mai1.preflight import check, storage
from mai1.preflight.check import Preflight, run_preflight
from mai1.preflight.clocks import clock_offsets, clock_problems
from mai1.preflight.config import Checks, PreflightConfig
from mai1.preflight.links import Links, time_exchanges, time_products
from mai1.preflight.outcome import lines_of, write_outcome
from mai1.preflight.slow_ranks import compare_speeds, partners_by_round
from tests.support.ranks import run_ranks

LATE_S = 0.5
"""A planted slowness, a thousand times what an exchange takes here: no busy machine comes near it."""
SLOW_FACTOR = 6.0
"""More than the usual one: eight ranks share two cores here, and with luck one of them waits in all of its rounds."""
CLEAN_RUNS = 3
SETTINGS = {"message_mib": 0.25, "repeats": 3, "slow_factor": SLOW_FACTOR}


class LateLinks(Links):
    """Links of which one rank's are slow, one exchange as the other."""

    def __init__(self, world: World, *, late: int, message_bytes: float) -> None:
        super().__init__(world, message_bytes=message_bytes)
        self._wait_s = LATE_S if world.rank == late else 0.0

    def exchange(self, partner: int) -> None:
        time.sleep(self._wait_s)
        super().exchange(partner)


def clean_and_planted(world: World, late: int) -> dict:
    rounds = partners_by_round(["n0"] * world.size)
    sound = Links(world, message_bytes=2**18)
    clean = [
        compare_speeds(time_exchanges(sound, world, rounds, repeats=5), slow_factor=SLOW_FACTOR).slow
        for _ in range(CLEAN_RUNS)
    ]
    clean += [compare_speeds(time_products(world, repeats=5), slow_factor=SLOW_FACTOR).slow for _ in range(CLEAN_RUNS)]
    links = LateLinks(world, late=late, message_bytes=2**18)
    planted = compare_speeds(time_exchanges(links, world, rounds, repeats=2), slow_factor=SLOW_FACTOR)
    return {"clean": clean, "planted": planted.slow, "factor": planted.worst_factor}


@pytest.mark.parametrize(("num_ranks", "late"), [(4, 2), (8, 5)])
def test_a_slow_rank_is_named_and_in_repeated_clean_runs_nobody_is(num_ranks: int, late: int):
    for found in run_ranks(clean_and_planted, num_ranks, late):
        assert found["clean"] == [[]] * (2 * CLEAN_RUNS)
        assert found["planted"] == [late] and found["factor"] > 2


def outcomes(world: World, folder: str) -> dict[str, dict]:
    """Several checks by the same ranks, each with something else planted."""
    directory, host = Path(folder) / "run", f"n{world.rank // 2}"
    found: dict[str, Preflight] = {}

    def look(name: str, config: PreflightConfig | None = None, **options: object) -> None:
        config = config or PreflightConfig(**SETTINGS)
        found[name] = run_preflight(config, world, directory=directory, host=host, **options)

    quick = {"checks": Checks.quick}
    look("sound")
    look("quick", PreflightConfig(**quick))
    look("slow link", links=LateLinks(world, late=3, message_bytes=2**18))
    floors = {"min_all_reduce_gb_s": 1e6, "min_all_to_all_gb_s": 1e6, "slow_factor": 0.0}
    look("floors", PreflightConfig(**(SETTINGS | floors)))
    look("storage", PreflightConfig(**quick, min_fsyncs_per_s=1e9, min_write_mib_s=1e9, min_memory_gib=1e9))
    look("room", PreflightConfig(**quick, checkpoint_gib=2.0**30))
    of_rank = check.versions_here
    check.versions_here = lambda: of_rank() | ({"torch": "1.0"} if world.rank == 1 else {})
    look("versions", PreflightConfig(**quick))
    check.versions_here = of_rank
    (Path(folder) / "file").write_text("")
    found["unwritable"] = run_preflight(
        PreflightConfig(**quick), world, directory=Path(folder) / "file" / "run", host=host
    )
    own = Path(folder) / f"own-{world.rank // 2}"
    storage.SEEN_WITHIN_S = 0.2
    found["apart"] = run_preflight(PreflightConfig(**quick), world, directory=own, host=host)
    records = {name: each.record() | {"lines": lines_of(each, PreflightConfig())} for name, each in found.items()}
    return records | {"clocks": clocks(world)}


@pytest.fixture(scope="module")
def looks(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("preflight")
    of_ranks = run_ranks(outcomes, 4, str(folder))
    apart = [of_rank.pop("apart") for of_rank in of_ranks]  # each was given a directory of its own
    assert all(of_rank == of_ranks[0] for of_rank in of_ranks), "every rank must come to the same result"
    assert all(look["unfit_nodes"] == ["n1"] for look in apart)
    assert [path.name for path in (folder / "run").iterdir()] == [], "measuring must leave nothing behind"
    return of_ranks[0] | {"apart": apart[0]}


def messages(look: dict) -> list[str]:
    return [problem["message"] for problem in look["problems"]]


def test_sound_nodes_are_fit_and_everything_is_measured(looks):
    look = looks["sound"]
    assert look["is_fit"] and look["unfit_nodes"] == [] and look["hosts"] == ["n0", "n0", "n1", "n1"]
    assert len(look["storage"]) == 2 and all(storage["fsyncs_per_s"] > 0 for storage in look["storage"])
    assert set(look["bandwidth_gb_s"]) == {"all_reduce", "all_to_all"} and all(look["bandwidth_gb_s"].values())
    assert len(look["exchange"]["best_s"]) == 4 and look["num_rounds"] == 1
    assert look["lines"][-1] == "fit: no problem found"
    shown = "\n".join(look["lines"])
    assert [
        n for n in ("versions", "clocks", "disk", "memory", "compute", "exchange", "all-to-all") if n not in shown
    ] == []
    json.dumps(look, allow_nan=False)


def test_a_quick_look_times_nothing_but_the_disk(looks):
    assert looks["quick"]["is_fit"] and looks["quick"]["exchange"] is None and looks["quick"]["bandwidth_gb_s"] == {}


def test_of_two_nodes_it_is_said_that_one_is_slow_but_none_is_left_out(looks):
    """Each meets only the other, and both take as long as the slower one."""
    (message,) = messages(looks["slow link"])
    assert message.startswith("one of ranks") and "1 on n0" in message and "3 on n1" in message
    assert looks["slow link"]["unfit_nodes"] == []


def test_collectives_below_their_floors_are_a_problem_of_no_single_node(looks):
    look = looks["floors"]
    assert not look["is_fit"] and look["unfit_nodes"] == []
    assert [problem["check"] for problem in look["problems"]] == ["all_reduce", "all_to_all"]
    assert "below preflight.min_all_reduce_gb_s=1e+06: no single rank stands out" in messages(look)[0]


def test_disk_and_memory_below_their_floors_name_their_nodes(looks):
    look = looks["storage"]
    assert look["unfit_nodes"] == ["n0", "n1"]
    for key, message in zip(("min_fsyncs_per_s", "min_write_mib_s", "min_memory_gib"), messages(look), strict=True):
        assert f"preflight.{key}=1e+09" in message


def test_a_disk_without_room_for_a_checkpoint_is_refused(looks):
    (message,) = messages(looks["room"])
    assert "GiB free but a checkpoint needs 1.07374e+09" in message and looks["room"]["unfit_nodes"] == []


def test_a_version_that_differs_names_the_odd_rank_and_its_node(looks):
    (message,) = messages(looks["versions"])
    assert f"torch is {torch.__version__} on most ranks but 1.0 on rank 1 on n0" in message
    assert (
        looks["versions"]["unfit_nodes"] == ["n0"] and "NOT FIT: 1 problem; leave out n0" in looks["versions"]["lines"]
    )


def test_a_directory_that_cannot_be_written_or_is_not_shared_is_a_problem(looks):
    assert "cannot be written on n0, n1" in messages(looks["unwritable"])[0]
    assert "is another one than rank 0's" in messages(looks["apart"])[0] and looks["apart"]["unfit_nodes"] == ["n1"]


def offsets_by_pingpong(world: World, clock) -> list[float]:
    """The slow reference: half of a round trip, one rank after the other, the quickest of many."""
    found = []
    for other in range(world.size):
        best = (float("inf"), 0.0)
        for _ in range(20):
            sent = clock()
            times = gather_json(clock(), world)
            back = clock()
            best = min(best, (back - sent, times[other] - (sent + back) / 2))
        found.append(best[1])
    return gather_json(found, world)[0]


def clocks(world: World) -> dict:
    """Of rank 2, whose clock is 100 s ahead."""
    places = [f"n{rank}" for rank in range(world.size)]

    def clock() -> float:
        return time.time() + 100.0 * (world.rank == 2)

    offsets = clock_offsets(world, clock=clock)
    return {
        "offsets": [(offset.seconds, offset.error_s) for offset in offsets],
        "by ping-pong": offsets_by_pingpong(world, clock),
        "problems": [problem.message for problem in clock_problems(offsets, places, limit_s=1.0)],
        "without a limit": clock_problems(offsets, places, limit_s=0.0),
        "of one machine": clock_problems(clock_offsets(world), places, limit_s=1e-9),
    }


def test_a_clock_that_is_off_is_measured_with_its_error_and_named(looks):
    found = looks["clocks"]
    for rank, (seconds, error) in enumerate(found["offsets"]):
        assert abs(seconds - 100.0 * (rank == 2)) <= error + 1e-6  # however busy the machine is
    assert abs(found["by ping-pong"][2] - found["offsets"][2][0]) < 30
    (message,) = found["problems"]
    assert message.startswith("the clock of rank 2 on n2 is +") and "preflight.max_clock_skew_s=1:" in message
    assert found["without a limit"] == []
    assert found["of one machine"] == [], "clocks of one machine are never surely apart"


def left_out_after(folder: Path, **settings: object) -> Path | None:
    """Where the nodes to leave out are written, twice, after a check of one rank that found a problem."""
    config, world = PreflightConfig(**SETTINGS, **settings), World(0, 1, 0, torch.device("cpu"))
    found = run_preflight(config, world, directory=folder, host="alone")
    found.problems = [check.Problem("compute", "it\nis slow", ["alone", "-x; rm"])]
    return {write_outcome(found, config, folder=folder) for _ in range(2)}.pop()


def test_the_list_of_nodes_to_leave_out_has_each_once_with_its_reason_and_no_odd_names(tmp_path):
    elsewhere = tmp_path / "other" / "bad_nodes.txt"
    assert left_out_after(tmp_path) == tmp_path / "excluded_nodes.txt"
    assert left_out_after(tmp_path, exclude_to=str(elsewhere)) == elsewhere
    for path in (tmp_path / "excluded_nodes.txt", elsewhere):
        (line,) = path.read_text().splitlines()
        name, _, why = line.partition("#")
        assert name.strip() == "alone" and why.endswith("it is slow")
    record = json.loads((tmp_path / "preflight.json").read_text())
    assert (
        record["unfit_nodes"] == ["alone", "-x; rm"] and record["compute"]["slow"] == [] and record["exchange"] is None
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_clock_skew_s", -1),
        ("min_fsyncs_per_s", float("inf")),
        ("slow_factor", 1.0),
        ("repeats", 1),
        ("message_mib", 0),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(key: str, value: float):
    with pytest.raises(ValueError, match=f"preflight.{key}="):
        PreflightConfig(**{key: value})
