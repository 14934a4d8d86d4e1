import json
import shutil
from pathlib import Path

import pytest

from mai1.model.moe.compiled_experts import ExpertLibrary
from tests.run.conftest import TINY_RUN


def losses_of(run: Path) -> list[float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if "loss" in record]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the kernel")
def test_compiled_experts_are_at_work_and_learn_the_same(mai1, corpus: Path, tmp_path: Path, monkeypatch):
    found, calls = {}, []
    call = ExpertLibrary.backward
    monkeypatch.setattr(ExpertLibrary, "backward", lambda *given, **tensors: calls.append(1) or call(*given, **tensors))
    for kernels in ("torch", "compiled"):
        calls.clear()
        done = mai1(
            "pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", f"run.name={kernels}",
            f"engine.expert_kernels={kernels}",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert bool(calls) == (kernels == "compiled")
        found[kernels] = losses_of(tmp_path / kernels)
    assert len(found["torch"]) > 1 and found["compiled"] == pytest.approx(found["torch"], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (["engine.precision=bf16"], "computes in fp32 on a CPU"),
        (["model.moe.expert_width=24"], "needs model.moe.expert_width=24 to be a multiple of 16"),
    ],
)
def test_what_compiled_experts_cannot_do_is_refused_before_anything_is_written(
    settings: list[str], error: str, mai1, corpus: Path, tmp_path: Path
):
    kernels = "engine.expert_kernels=compiled"
    done = mai1("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={tmp_path}", kernels, *settings)
    assert done.code == 2 and f"{kernels} {error}" in done.err
    assert not list(tmp_path.iterdir())
