"""The page on a stuck run, from findings made by hand."""

from dataclasses import asdict

from mai1.watch.collectives import Call, disagreements
from mai1.watch.incident import Finding, page, place_of, read_findings, verdicts, write_finding, write_page

STACK = """Thread 0x01 (most recent call first):
  File "/x/threading.py", line 1 in run

Current thread 0x02 (most recent call first):
  File "/x/torch/distributed_c10d.py", line 7 in all_reduce
  File "/x/mai1/dist.py", line 80 in sum_over_ranks
  File "/x/mai1/train/trainer.py", line 90 in fit
"""


def finding(rank: int, **changes) -> Finding:
    values = {
        "host": f"node{rank}",
        "pid": 10 + rank,
        "phase": "train",
        "step": 5,
        "beats": 9,
        "idle_s": 3.0,
        "state": "S",
    }
    values |= {"waits_in": "futex", "is_responsive": True, "calls": [], "stacks": STACK}
    return Finding(rank=rank, **(values | changes))


def calls(*operations: str, first: int = 1, group: str = "0") -> list[Call]:
    return [Call(group, first + i, operation, [[3]]) for i, operation in enumerate(operations)]


def test_the_main_thread_is_shown_with_the_line_of_ours():
    assert place_of(STACK) == "all_reduce (distributed_c10d.py:7) from sum_over_ranks (dist.py:80)"
    assert place_of("") == "unknown: no stack came"


def test_a_missing_report_is_said():
    assert verdicts([finding(0), finding(2)], num_ranks=3)[0].startswith("rank 1 sent no report")


def test_a_rank_in_the_kernel_is_named_before_anything_else():
    found = verdicts([finding(0), finding(1, state="D")], num_ranks=2)
    assert found == ["rank 1 on node1 hangs in the kernel and cannot be ended"]


def test_without_another_reason_the_rank_behind_is_named():
    (found,) = verdicts([finding(0), finding(1, beats=8)], num_ranks=2)
    assert found == "rank 1 on node1 is behind, in all_reduce (distributed_c10d.py:7) from sum_over_ranks (dist.py:80)"


def test_the_first_differing_collective_of_each_group_is_named():
    ours = {rank: calls("all_reduce", "all_gather", "barrier") for rank in range(3)}
    ours[2] = calls("all_reduce", "barrier")
    ours[1] += calls("all_to_all", "all_to_all", group="7")
    ours[2] += calls("all_to_all", group="7")
    assert disagreements(ours) == [
        "collective 2 of group 0: rank 2 called barrier of [[3]]; ranks 0, 1 called all_gather of [[3]]",
        "collective 2 of group 7: rank 2 never called it; rank 1 called all_to_all of [[3]]",
    ]


def test_only_what_all_ranks_still_remember_is_compared():
    assert disagreements({0: calls("barrier", "all_reduce"), 1: calls("all_reduce", first=2)}) == []


def test_sizes_differ_where_they_must_not():
    one, other = Call("0", 1, "all_reduce", [[3]]), Call("0", 1, "all_reduce", [[4]])
    assert (
        "rank 0 called all_reduce of [[3]]; rank 1 called all_reduce of [[4]]"
        in disagreements({0: [one], 1: [other]})[0]
    )
    uneven = [Call("0", 1, "all_to_all", [[size]]) for size in (3, 4)]
    assert disagreements({0: uneven[:1], 1: uneven[1:]}) == []


def test_findings_are_read_as_written_and_put_on_one_page(tmp_path):
    found = [finding(rank, calls=[asdict(call) for call in calls("barrier")]) for rank in range(2)]
    for one in reversed(found):
        write_finding(tmp_path, one)
    assert read_findings(tmp_path) == found
    write_page(tmp_path, reason="rank 0 made no progress", num_ranks=2)
    text = (tmp_path / "incident.md").read_text()
    assert text == page(found, reason="rank 0 made no progress", num_ranks=2)
    assert text.startswith("# Stuck: rank 0 made no progress") and text.count("## Stacks of rank") == 2
    assert (tmp_path / "rank-00001.stacks.txt").read_text() == STACK
