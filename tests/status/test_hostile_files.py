"""Directories that nobody would believe: status reads them, shows them harmless, and never crashes or hangs."""

import json
import os
import random
from pathlib import Path

import pytest

from mai1.status.dashboard import screen
from mai1.status.files import last_lines, read_settings, read_small, sampled_lines
from mai1.status.metrics_tail import read_tail
from mai1.status.run_status import is_run, read_status
from mai1.status.text import block, harmless, one_line, sparkline, table
from tests.support.run_directory import make_run, train_record

OURS = ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m")


def everything_shown(run: Path) -> str:
    status = read_status(run)
    json.dumps(status.record(), allow_nan=False)
    drawn = [line for height in (3, 12, 60) for line in screen(status, width=90, height=height, every_s=3)]
    for colour in OURS:
        drawn = [line.replace(colour, "") for line in drawn]
    return "\n".join([*block(status), *table([status, status]), one_line(status), *drawn])


EVIL = "a\x1b]0;pwned\x07b\x1b[2Jc\rd\u202ee\x9b5n"


def test_text_from_files_cannot_drive_a_terminal(tmp_path):
    run = make_run(tmp_path / "evil\x1b[2J", saved=50)
    (run / "run.json").write_text(json.dumps({"name": EVIL, "stage": EVIL}))
    (run / "logs" / "alive.json").write_text(json.dumps({"phase": "train", "host": EVIL}))
    (run / "restarts.jsonl").write_text(json.dumps({"time": EVIL, "why": EVIL, "ended_because": EVIL}) + "\n")
    alarm = {"layer": EVIL, "figure": EVIL, "key": EVIL, "threshold": EVIL, "value": 1}
    record = train_record(110, alarms=[alarm], stragglers=[{"rank": EVIL, "host": EVIL}])
    record["layers"] = {EVIL: record["layers"]["1"]}
    (run / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    shown = everything_shown(run)
    assert all(c.isprintable() or c == "\n" for c in shown) and "\ufffd" in shown


ODD = ["x", None, True, [], {}, [1, "a"], 1e308, -1, 10**400, float("nan"), float("inf"), "\ud800", {"1": 3}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_value_of_any_type_in_any_place_is_survived(odd: object, tmp_path):
    run = make_run(tmp_path / "first", saved=50)
    lines = []
    for key in train_record(10):
        lines.append(json.dumps(train_record(110) | {key: odd}))
    lines += [
        json.dumps({"kind": kind, "step": 120, "loss": odd, "bits_per_byte": odd}) for kind in ("heldout", "skipped")
    ]
    for key in ("load", "entropy", "max_violation", "dead_experts"):
        record = train_record(130)
        record["layers"]["1"] = record["layers"]["1"] | {key: odd}
        lines.append(json.dumps(record | {"layers": {"1": record["layers"]["1"], "2": odd}}))
    (run / "run.json").write_text(json.dumps(odd))
    (run / "restarts.jsonl").write_text(
        json.dumps({"time": odd, "failures": odd, "ended_because": odd, "why": odd}) + "\n"
    )
    (run / "logs" / "alive.json").write_text(json.dumps({"phase": odd, "host": odd, "step": odd}))
    for line in lines:
        (run / "metrics.jsonl").write_text(line + "\n")
        everything_shown(run)


@pytest.mark.parametrize("seed", range(40))
def test_files_with_random_damage_are_survived(seed: int, tmp_path):
    run, chance = make_run(tmp_path / "first", saved=50), random.Random(seed)
    for path in [path for path in run.rglob("*") if path.is_file()]:
        content = bytearray(path.read_bytes())
        for _ in range(chance.randrange(12)):
            if content:
                content[chance.randrange(len(content))] = chance.choice(b'\x00\x1b{}[]",:9e-\xff\n')
        path.write_bytes(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.3 else content)
    everything_shown(run)


def test_pipes_devices_directories_and_circles_in_place_of_files_are_left_alone(tmp_path):
    for number, plant in enumerate(
        (os.mkfifo, Path.mkdir, lambda p: p.symlink_to("/dev/zero"), lambda p: p.symlink_to(p.name))
    ):
        run = make_run(tmp_path / f"run{number}", saved=50)
        for name in ("metrics.jsonl", "config.yaml", "run.json", "restarts.jsonl", "logs/alive.json", ".lock"):
            (run / name).unlink(missing_ok=True)
            plant(run / name)
        everything_shown(run)
    assert (
        not is_run(Path("/dev/null/x")) and read_small(Path("a\0b")) == b"" and last_lines(tmp_path, max_bytes=9) == []
    )


def test_deep_nesting_and_endless_lines_are_no_records(tmp_path):
    run = make_run(tmp_path / "first")
    (run / "run.json").write_text("[" * 100_000)
    with open(run / "metrics.jsonl", "a") as file:
        file.write("{" * 100_000 + "\n" + '{"kind": "train", "step": 500, "loss": ' + "1" * 100_000 + "}\n")
    assert read_status(run).step == 100
    everything_shown(run)


def test_settings_are_plain_lines_and_nothing_is_interpreted(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("train:\n  steps: 12\n  deep:\n    steps: 13\n- a: 1\nx: !!python/object/apply:os.system ['touch y']\n"
                    "watch:\n  pause_after_s: '7'\n  list:\n  - steps: 3\nfree\n")  # fmt: skip
    assert read_settings(path) == {"train.steps": "12", "watch.pause_after_s": "7"}
    path.write_text("a: 1\n" * 100_000)
    assert read_settings(path) == {}


def lines_by_reading_all(path: Path) -> list[bytes]:
    """The slow reference: whole lines alone."""
    return path.read_bytes().split(b"\n")[:-1]


def test_the_last_lines_are_those_of_the_whole_file(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(2000)) + b"half")
    everything = lines_by_reading_all(path)
    for num_bytes in (0, 1, 5, 100, 4096, 10**6):
        tail = last_lines(path, max_bytes=num_bytes)
        assert tail == everything[len(everything) - len(tail) :]
    assert last_lines(path, max_bytes=10**6) == everything


def test_samples_are_whole_lines_in_order_each_once_from_all_of_the_file(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b"%d %s\n" % (number, b"x" * (number % 700)) for number in range(3000)) + b"half")
    everything = lines_by_reading_all(path)
    sampled = sampled_lines(path, num_samples=30)
    places = [everything.index(line) for line in sampled]
    assert places == sorted(set(places)) and len(places) == 30 and places[0] == 0 and places[-1] > 2700


def test_of_a_file_of_gigabytes_only_a_few_megabytes_are_read(tmp_path, monkeypatch):
    """Sparse: records at its begin and end, and between them six gigabytes without a line."""
    run = make_run(tmp_path / "first", step=500)
    path, num_read, pread = run / "metrics.jsonl", [], os.pread
    content = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(6 * 2**30)
        file.write(b"\n" + content.replace(b'"step": ', b'"step": 9'))
    monkeypatch.setattr("os.pread", lambda *a: (num_read.append(a[1]), pread(*a))[1])
    tail = read_tail(path)
    assert tail.train[-1]["step"] == 9500 and tail.heldout[0]["step"] == 0 and tail.num_bytes > 6 * 2**30
    assert sum(num_read) < 2**27


def test_a_repeated_step_counts_as_recorded_last(tmp_path):
    run = make_run(tmp_path / "first", step=50)
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(train_record(40, loss=9.0)) + "\n")
    tail = read_tail(run / "metrics.jsonl")
    assert [(record["step"], record["loss"]) for record in tail.train][3] == (40, 9.0)


def test_harmless_text_is_cut_and_a_sparkline_keeps_its_width():
    assert harmless("a" * 300, length=10) == "a" * 9 + "…" and harmless("ab\n", length=3) == "ab\ufffd"
    assert sparkline([3, 2, 1], width=10) == "█▅▁"[0] + sparkline([3, 2, 1], width=10)[1] + "▁"
    assert (
        len(sparkline(list(range(1000)), width=20)) == 20
        and sparkline([], width=5) == ""
        and sparkline([1], width=3) == "▁"
    )
