"""The planner's page shows what plan.json says, loads nothing, and makes no code of names."""

import copy
import re
from pathlib import Path

import pytest

from mai1.report.plan import build_plan_page

ATTACK = "</td></style><script>alert(1)</script>\"'&"
LAYOUT = {
    "num_devices": 16, "expert": 8, "tensor": 1, "pipeline": 2, "virtual_stages": 1, "sequence": 1, "zero_stage": 1,
    "microbatch": 1, "recompute": "full", "format": "bf16", "offload_optimizer": False, "overlaps_experts": False,
    "fuses_experts": False,
}  # fmt: skip


def candidate(*, speed: float, obstacles: list[str]) -> dict:
    return {
        "layout": LAYOUT,
        "described": "2 stages, 8 ranks share experts",
        "sequences_per_step": 64,
        "tokens_per_step": 262144,
        "memory_bytes": {"weights": 20e9, "activations": 31.5e9, "moments": 0.0},
        "bytes_over": -28.5e9,
        "step_s": 262144 / speed,
        "seconds": {"experts": 0.6 * 262144 / speed, "bubble": 0.4 * 262144 / speed, "attention": 0.0},
        "tokens_per_s": speed,
        "tokens_per_s_per_device": speed / 16,
        "mfu": 0.317,
        "obstacles": obstacles,
        "overrides": [] if obstacles else ["engine.pipeline_parallel=2", "engine.recompute=true"],
    }


@pytest.fixture
def record() -> dict:
    best, today = candidate(speed=64000.0, obstacles=["fp8"]), candidate(speed=48000.0, obstacles=[])
    return {
        "name": "spruce",
        "hardware": {"name": "H100", "memory_bytes": 80e9, "peak_flops": {"bf16": 989e12}, "watts": 1275.0},
        "devices": 16,
        "sequence_length": 4096,
        "tokens": 1e12,
        "imbalance": 1.2,
        "parameters": {"total": 30.5e9, "active": 3.3e9},
        "flops": {"per_token": 23.1e9, "run": 2.31e22, "convention": "2 FLOPs a multiply-add"},
        "best": best,
        "today": [today],
        "run": {
            "steps": 3814698, "seconds": 15.7e6, "device_hours": 69800.0, "kilowatt_hours": 106800.0, "dollars": 209000.0,
            "mtbf_s": 1.1e7, "checkpoint_bytes": 427e9, "checkpoint_interval_s": 1200.0, "every_steps": 293,
            "sparing_every_steps": 500, "stall_s": 0.4,
            "write_s": 13.0, "failures_per_day": 0.0076, "recovery_s": 350.0, "effective_share": 0.98,
            "lost_to_saving": 0.01, "lost_to_repeating": 0.005, "lost_to_recovery": 0.005,
        },
        "links": [
            {"what": "rows to experts", "operation": "all_to_all", "group": "expert", "group_size": 8, "calls": 96,
             "overlaps_with": "", "bytes_sent": 12.5e9, "share_outside_node": 0.25},
        ],
        "layouts": [best, candidate(speed=60000.0, obstacles=["tensor parallelism"])],
        "too_large": [candidate(speed=70000.0, obstacles=["fp8"]) | {"shortage": "12 GB over the 80 GB of H100"}],
        "nearby": [], "notes": ["15,000 devices divide badly"],
        "search": {"shapes": 1234, "fitted": 56},
        "laws": {"columns": ["law", "active", "total", "experts", "granularity", "tokens", "tokens / active"],
                 "rows": [["Ling", "5 B", "90 B", "384, 12 active", "11.3", "700 B", "140"]],
                 "answers": [{"law": "Ling", "note": "MoE.", "source": "arXiv 2507.17702"}]},
    }  # fmt: skip


def page_of(record: dict, tmp_path: Path) -> str:
    build_plan_page(record, tmp_path / "plan.html")
    return (tmp_path / "plan.html").read_text()


def test_the_page_shows_the_plan(record: dict, tmp_path: Path):
    page = page_of(record, tmp_path)
    assert "could not be drawn" not in page
    for text in (
        "spruce on 16 × H100", "4,000", "31.7%", "51.5 GB", "25.0% slower than the first", "needs fp8", "rows to experts",
        "12.5 GB", "25.0%", "12 GB over the 80 GB of H100", "checkpoint.every_steps=293", "98.0%", "arXiv 2507.17702",
        "mai1 pretrain model=spruce engine.pipeline_parallel=2 engine.recompute=true",
    ):  # fmt: skip
        assert text in page, text


def test_bars_are_as_long_as_what_they_stand_for(record: dict, tmp_path: Path):
    page = page_of(record, tmp_path)
    widths = {
        tip: float(width)
        for width, tip in re.findall(r'width="([\d.]+)" height="18" class="bar p\d" data-tip="([^"]+)"', page)
    }
    memory = {tip: width for tip, width in widths.items() if " GB " in tip and tip.startswith(("1 ", "device"))}
    assert len(memory) == 3
    scale = {width / float(re.search(r": ([\d.]+) GB", tip)[1]) for tip, width in memory.items()}
    assert max(scale) == pytest.approx(min(scale), rel=0.01)


def test_what_is_absent_is_said(record: dict, tmp_path: Path):
    bare = copy.deepcopy(record) | {"links": [], "too_large": [], "today": []}
    bare["run"] = {key: bare["run"][key] for key in ("steps", "seconds", "device_hours", "kilowatt_hours", "dollars")}
    bare["laws"]["rows"] = []
    page = page_of(bare, tmp_path)
    assert "could not be drawn" not in page
    for text in (
        "nothing travels",
        "could be faster fits",
        "No layout that fits can be run",
        "does not say how fast",
        "any law",
    ):
        assert text in page, text


def test_names_from_files_are_text(record: dict, tmp_path: Path):
    hostile = copy.deepcopy(record) | {"name": ATTACK}
    hostile["hardware"]["name"] = ATTACK
    hostile["links"][0]["what"] = ATTACK
    page = page_of(hostile, tmp_path)
    assert "<script>alert" not in page and page.count("<script>") == 1 and "could not be drawn" not in page
