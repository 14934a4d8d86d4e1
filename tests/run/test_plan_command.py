"""`mai1 plan` through the command: what it prints and writes, every key's effect, and its refusals in one line."""

import json
from pathlib import Path

import pytest
import yaml

from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.plan import PlanConfig, question_of
from tests.run.conftest import TINY_MODEL

SMALL = [*TINY_MODEL, "model.vocab_size=512", "model.max_positions=256", "model.tie_embeddings=false"]
SMALL += ["hardware=h100", "devices=4", "pinned.format=bf16", "batch.sequences_per_step=32"]


@pytest.fixture
def plan(mai1, tmp_path):
    """The record of a plan, and what the terminal showed."""

    def run(*arguments: str) -> tuple[dict, str]:
        ended = mai1("plan", *SMALL, *arguments, f"output={tmp_path}")
        assert ended.code == 0, ended.err
        return json.loads((tmp_path / "plan.json").read_text()), ended.out

    return run


def test_a_plan_is_printed_and_written_as_json_and_as_a_page(plan, tmp_path: Path):
    record, text = plan("tokens=1e9")
    best = record["best"]
    for words in (
        "parameters",
        "tokens/s a device",
        "memory of the fullest device",
        "time of a step",
        "checkpoint",
        "runs today",
    ):
        assert words in text, words
    assert f"{best['tokens_per_s_per_device']:,.0f} tokens/s a device" in text
    page = (tmp_path / "plan.html").read_text()
    assert "could not be drawn" not in page and "To run the best of today" in page


@pytest.mark.parametrize("key", ["optim.method=muon", "lora.rank=8", "routing.max_rows=64"])
def test_what_is_trained_and_how_changes_the_plan(plan, key: str):
    layout = [f"pinned.{name}" for name in ("expert=4", "zero_stage=2", "tensor=1", "microbatch=2", "recompute=none")]
    usual, _ = plan("tokens=1e9", *layout)
    found, _ = plan("tokens=1e9", *layout, key)
    memory, seconds = found["best"]["memory_bytes"], found["best"]["seconds"]
    assert sum(memory.values()) < sum(usual["best"]["memory_bytes"].values()) and seconds != usual["best"]["seconds"]
    assert found["links"] != usual["links"]
    saves_state = found["run"]["checkpoint_bytes"] < usual["run"]["checkpoint_bytes"]
    assert saves_state == (not key.startswith("routing"))


def test_remarks_are_printed_and_on_the_page(plan, tmp_path: Path):
    record, text = plan("tokens=1e9", "pinned.zero_stage=2", "pinned.microbatch=1", "hardware.node_bytes_per_s=1e9")
    assert record["notes"] and "* ZeRO-2 sends gradients after each of" in text
    assert "ZeRO-2 sends gradients after each of" in (tmp_path / "plan.html").read_text()


def test_the_figures_follow_from_each_other(plan):
    record, _ = plan("tokens=1e9")
    model = compose_config("plan", PlanConfig, SMALL).model
    best, run, hardware = record["best"], record["run"], record["hardware"]
    assert record["parameters"]["total"] == count_parameters(model).total
    assert record["flops"]["per_token"] == training_flops_per_token(model, context=256)
    assert record["flops"]["run"] == pytest.approx(1e9 * record["flops"]["per_token"])
    assert best["tokens_per_step"] == 32 * 256 and run["steps"] == -(-(10**9) // (32 * 256))
    assert sum(best["seconds"].values()) == pytest.approx(best["step_s"])
    assert best["tokens_per_s"] == pytest.approx(best["tokens_per_step"] / best["step_s"])
    assert best["tokens_per_s_per_device"] == pytest.approx(best["tokens_per_s"] / 4)
    flops_per_s = record["flops"]["per_token"] * best["tokens_per_s_per_device"]
    assert best["mfu"] == pytest.approx(flops_per_s / hardware["peak_flops"]["bf16"])
    assert sum(best["memory_bytes"].values()) - hardware["memory_bytes"] == pytest.approx(best["bytes_over"])
    assert run["seconds"] == pytest.approx(run["steps"] * best["step_s"] / run["effective_share"])
    assert run["device_hours"] == pytest.approx(4 * run["seconds"] / 3600) and run["days"] == pytest.approx(
        run["seconds"] / 86400
    )
    assert run["dollars"] == pytest.approx(run["device_hours"] * hardware["dollars_per_hour"])
    assert run["checkpoint_bytes"] == 14 * record["parameters"]["total"]
    speeds = [layout["tokens_per_s"] for layout in record["layouts"]]
    assert speeds == sorted(speeds, reverse=True) and record["layouts"][0] == best


def test_the_printed_command_trains_in_the_planned_layout(plan):
    record, text = plan("runnable=true")
    best = record["best"]
    assert record["today"] == record["layouts"] and not best["obstacles"] and " ".join(best["overrides"]) in text
    config = compose_config("pretrain", PretrainConfig, best["overrides"])
    assert config.engine.pipeline_parallel == best["layout"]["pipeline"]
    assert config.engine.expert_parallel == best["layout"]["expert"]
    assert config.batch.sequences_per_step == best["sequences_per_step"] == 32
    assert config.batch.sequences_per_microbatch == best["layout"]["microbatch"]


def test_a_plan_of_a_training_command_is_of_the_layout_that_it_trains_in(plan):
    record, _ = plan(
        "layout=engine", "~pinned", "engine.zero_stage=3", "engine.expert_parallel=2", "engine.recompute=true",
        "batch.sequences_per_microbatch=4",
    )  # fmt: skip
    (only,) = record["layouts"]
    wanted = {"zero_stage": 3, "expert": 2, "recompute": "full", "microbatch": 4, "format": "bf16", "pipeline": 1}
    assert {name: only["layout"][name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("override", "at"),
    [
        ("data.sequence_length=128", ("sequence_length",)),
        ("batch.sequences_per_step=64", ("best", "sequences_per_step")),
        ("devices=8", ("devices",)),
        ("tokens=5e8", ("run", "steps")),
        ("pinned.expert=4", ("best", "layout", "expert")),
        ("pinned.recompute=full", ("best", "layout", "recompute")),
        ("runnable=true", ("must_run",)),
        ("hardware=a100", ("hardware", "name")),
        ("hardware.dollars_per_hour=9", ("run", "dollars")),
        ("goodput.restart_s=5000", ("run", "recovery_s")),
        ("energy.pue=2", ("run", "kilowatt_hours")),
    ],
)
def test_every_key_has_an_effect(plan, override: str, at: tuple[str, ...]):
    def value(record: dict) -> object:
        for name in at:
            record = record[name]
        return record

    usual, _ = plan("tokens=1e9")
    changed, _ = plan("tokens=1e9", override)
    assert value(usual) != value(changed)


def test_imbalance_makes_room_for_more_rows_at_the_fullest_experts(plan):
    even, _ = plan("pinned.expert=4", "imbalance=1.0")
    uneven, _ = plan("pinned.expert=4", "imbalance=2.0")
    assert uneven["best"]["memory_bytes"]["activations"] > even["best"]["memory_bytes"]["activations"]
    assert uneven["best"]["tokens_per_s"] < even["best"]["tokens_per_s"]


def test_what_is_left_open_is_chosen_to_suit(mai1):
    question, tokens = question_of(compose_config("plan", PlanConfig, ["model=tiny"]))
    active = count_parameters(question.model).active
    assert question.model.vocab_size == 8192 and question.sequence_length == 1024 and tokens == 20 * active
    assert question.rounds_rows and 4096 < question.sequences_per_step * 1024 < 10**6


def test_fewest_devices_are_found_that_fit_and_are_in_time(mai1):
    slow = ["hardware.memory_bytes=5e9", "tokens=1e9", "batch.sequences_per_step=512"]
    ended = mai1("plan", *SMALL, *slow, "devices=auto", "days=0.008")
    assert ended.code == 0, ended.err
    count = int(ended.out.splitlines()[0].split(" on ")[1].split(" x ")[0].replace(",", ""))
    assert count > 1
    alone = mai1("plan", *SMALL, *slow, "devices=auto")
    assert alone.code == 0 and " on 1 x H100" in alone.out


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["hardware.memory_bytes=1e6"], ["does not fit", "GB over the 1.0 MB of H100", "on 4 devices: use more"]),
        (["pinned.expert=3"], ["pinned.expert=3", "use 1 or 2 or 4"]),
        (["pinned.tensor=2", "runnable=true"], ["tensor parallelism", "runnable=false"]),
        (["batch.sequences_per_step=31"], ["batch.sequences_per_step=31", "use 30 or 32"]),
        (["devices=some"], ["devices=some", "auto"]),
        (["days=3"], ["days=3", "devices=auto"]),
        (["tokens=-1"], ["tokens=-1"]),
        (["imbalance=0.5"], ["imbalance=0.5 must be at least 1"]),
        (["data.sequence_length=512"], ["data.sequence_length=512", "model.max_positions=256"]),
        (["layout=engine"], ["layout=engine is one layout", "pinned"]),
        (["layout=engine", "~pinned", "engine.pipeline_parallel=2"], ["engine.zero_stage=1"]),
        (["layout=engine", "~pinned", "batch.sequences_per_microbatch=3"], ["batch.sequences_per_microbatch=3"]),
        (["hardware_file=nowhere.yaml"], ["hardware_file=nowhere.yaml is no file"]),
        (["devices=auto", "days=1e-9"], ["devices=auto", "more days"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(mai1, overrides: list[str], parts: list[str]):
    ended = mai1("plan", *SMALL, *overrides)
    assert ended.code == 2 and len(ended.err.strip().splitlines()) == 1
    assert [part for part in parts if part not in ended.err] == [], ended.err


def test_a_given_layout_that_does_not_fit_is_refused_with_the_nearest_that_does(mai1):
    given = ["layout=engine", "~pinned", "hardware.memory_bytes=1.2e9", "batch.sequences_per_microbatch=8"]
    ended = mai1("plan", *SMALL, *given)
    assert ended.code == 2 and "does not fit" in ended.err and "over the 1.2 GB of H100" in ended.err
    assert "nearest" in ended.err or "nor does any other" in ended.err


def own_device(tmp_path: Path, **changes) -> Path:
    values = yaml.safe_load(Path("configs/hardware/h100.yaml").read_text()) | {"name": "Mine"} | changes
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return path


def test_a_device_of_ones_own_is_read_from_a_file(plan, tmp_path: Path):
    record, text = plan(f"hardware_file={own_device(tmp_path, memory_bytes='40e9', storage_bytes_per_s=None)}")
    assert record["hardware"]["name"] == "Mine" and record["hardware"]["memory_bytes"] == 40e9
    assert "x Mine" in text and "mtbf_s" not in record["run"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": None}, "name is missing"),
        ({"memory": 3}, "'memory' is no key"),
        ({"memory_bytes": "much"}, "much"),
        ({"memory_bytes": -1}, "must be a number that is not negative"),
        ({"memory_bytes": None}, "hardware.memory_bytes=0"),
        ({"memory_bytes": True}, "must be a number"),
        ({"peak_flops": {}}, "peak_flops must name a format"),
        ({"peak_flops": {"int4": 1e12}}, "int4 is no format"),
        ({"peak_flops": {"bf16": float("nan")}}, "peak_flops.bf16=nan"),
        ({"devices_per_node": [8]}, "devices_per_node=[8] must be a number"),
    ],
)
def test_a_mistake_in_a_device_file_is_named(mai1, tmp_path: Path, changes: dict, part: str):
    ended = mai1("plan", *SMALL, f"hardware_file={own_device(tmp_path, **changes)}")
    assert ended.code == 2 and part in ended.err, ended.err


@pytest.mark.parametrize(
    "text", ["", "- 1\n- 2\n", "a: [", "!!python/object/apply:os.system ['touch ran']", "x" * 70000]
)
def test_a_device_file_is_data_and_nothing_else(mai1, tmp_path: Path, text: str):
    (tmp_path / "bad.yaml").write_text(text)
    ended = mai1("plan", *SMALL, f"hardware_file={tmp_path / 'bad.yaml'}")
    assert ended.code == 2 and "hardware_file=" in ended.err and not Path("ran").exists()


def test_laws_are_printed_side_by_side(mai1):
    ended = mai1("plan", "laws", "flops=1e24")
    assert ended.code == 0 and "Ling" in ended.out and "spread" in ended.out
    for wrong in ([], ["flops=many"], ["flops=1e24", "x=1"]):
        assert mai1("plan", "laws", *wrong).code == 2


def test_help_lists_devices_and_keys(mai1):
    ended = mai1("plan", "--help")
    assert ended.code == 0 and "h100" in ended.out and "pinned" in ended.out and "laws" in ended.out


def test_a_device_whose_figures_multiply_is_refused_at_once(mai1, tmp_path: Path):
    levels = ["&l0 [x, x, x, x, x, x, x, x]"] + [f"&l{n} [{', '.join([f'*l{n - 1}'] * 8)}]" for n in range(1, 12)]
    lines = ["name: b", "peak_flops: {bf16: 1e12}", "memory_bytes:", *(f"  - {level}" for level in levels)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    ended = mai1("plan", *SMALL, f"hardware_file={tmp_path / 'bomb.yaml'}")
    assert ended.code == 2 and "memory_bytes=[" in ended.err and "must be a number" in ended.err
    assert len(ended.err) < 500
