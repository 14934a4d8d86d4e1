"""Two commands that train, one after the other in one process, as a notebook or a script of one's own gives them."""

import json
from pathlib import Path

from tests.run.conftest import TINY_RUN


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_a_process_trains_twice(mai1, corpus, tmp_path):
    for name in ("first", "second"):
        ended = mai1("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", f"run.name={name}")
        assert ended.code == 0, ended.err
    assert losses(tmp_path / "first") == losses(tmp_path / "second") != []
