"""`mai1 sft lora.rank=...`: adapters are trained, merged in every checkpoint, and a run goes on exactly where it was."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.checkpoint import CheckpointConfig
from mai1.checkpoint.inference import load_model
from mai1.engine.ds_config import EngineConfig
from mai1.model.expert_kernels import ExpertKernels
from mai1.model.lora import LoraConfig, LoraTarget, WholePart
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.optim.config import Method, OptimConfig
from mai1.run.adapters import check_lora
from mai1.run.config import SftConfig, StageConfig
from tests.run.conftest import TINY_RUN
from tests.support.commands import command_on_ranks, run_command

LORA = ["lora.rank=4", "lora.targets=[attention,experts,router]", "router.policy=aux", "balance.method=global_loss"]
TUNING = [
    *(
        "data.sequence_length=128",
        "batch.sequences_per_step=4",
        "batch.sequences_per_microbatch=2",
        "train.log_every=1",
    ),
    *(
        "train.steps=6",
        "checkpoint.every_steps=3",
        "checkpoint.keep=0",
        "optim.learning_rate=1e-2",
        "samples.questions=0",
    ),
    *("optim.warmup_steps=1", "router.probe_tokens=0"),
]


@pytest.fixture(scope="module")
def base(corpus, tmp_path_factory) -> Path:
    """A run whose last checkpoint is tuned."""
    runs = tmp_path_factory.mktemp("base")
    done = run_command("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "run.name=base")
    assert done.code == 0, done.err
    return runs / "base" / "checkpoints" / "step_00000006"


def tuning(corpus: Path, base: Path, runs: Path) -> list:
    """The command of one tuning."""
    data = [f"data.train={corpus}/instruct/train.jsonl", f"data.heldout={corpus}/instruct/heldout.jsonl"]
    return ["sft", *TUNING, *LORA, *data, f"checkpoint.init_from={base}", f"run.directory={runs}", "run.name=tuned"]


@pytest.fixture(scope="module")
def tuned(corpus, base, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("tuned")
    done = run_command(*tuning(corpus, base, runs))
    assert done.code == 0, done.err
    assert "LoRA of rank 4 on attention, experts, router: 0.0" in done.err and "its weights are frozen" in done.err
    return runs / "tuned"


def losses(run: Path) -> dict[int, tuple]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {r["step"]: (r["loss"], r["grad_norm"]) for r in records if r["kind"] == "train"}


def last_of(run: Path) -> Path:
    return run / "checkpoints" / "step_00000006"


def killed_after_step_3(tuned: Path, runs: Path) -> Path:
    """A copy of the run as a kill after its first checkpoint would have left it."""
    run = runs / "tuned"
    shutil.copytree(tuned, run, symlinks=True)
    shutil.rmtree(last_of(run))
    (run / "checkpoints" / "latest").unlink()
    (run / "checkpoints" / "latest").symlink_to("step_00000003")
    return run


def test_a_run_learns_with_its_base_frozen(base, tuned):
    figures = losses(tuned)
    assert figures[6][0] < figures[1][0]
    before, after = load_model(base).state_dict(), load_model(last_of(tuned)).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    adapted = {name for name in before if any(part in name for part in (".attention.", ".experts.", ".router.weight"))}
    assert moved == {name for name in adapted if "norm" not in name}


def test_a_killed_run_goes_on_bit_for_bit(corpus, base, tuned, tmp_path):
    run = killed_after_step_3(tuned, tmp_path)
    done = run_command(*tuning(corpus, base, tmp_path))
    assert done.code == 0 and "going on from step 3 of 6" in done.err, done.err
    assert losses(run) == losses(tuned)
    for path in sorted(last_of(tuned).rglob("*.safetensors")):
        assert path.read_bytes() == (last_of(run) / path.relative_to(last_of(tuned))).read_bytes(), path.name


def test_a_base_that_was_moved_is_still_the_same_and_one_that_changed_is_refused(corpus, base, tuned, tmp_path):
    killed_after_step_3(tuned, tmp_path)
    shutil.copytree(base, tmp_path / "copy")
    weights = next((tmp_path / "copy").glob("model-*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = run_command(*tuning(corpus, tmp_path / "copy", tmp_path))
    assert (
        done.code != 0 and "is no longer the model whose adapters" in done.err and "where they are merged" in done.err
    )
    content[-1] ^= 1
    weights.write_bytes(content)
    done = run_command(*tuning(corpus, tmp_path / "copy", tmp_path))
    assert done.code == 0, done.err
    assert losses(tmp_path / "tuned") == losses(tuned)


@pytest.mark.slow
def test_a_run_goes_on_with_experts_on_two_ranks(corpus, base, tuned, tmp_path):
    run = killed_after_step_3(tuned, tmp_path)
    done = command_on_ranks(2, *tuning(corpus, base, tmp_path), "engine.expert_parallel=2")
    assert done.returncode == 0, done.stderr
    expected, got = losses(tuned), losses(run)
    torch.testing.assert_close(
        torch.tensor(list(got.values())), torch.tensor(list(expected.values())), atol=1e-5, rtol=0
    )


def test_show_names_what_was_trained(tuned):
    shown = run_command("checkpoint", "show", tuned)
    assert shown.code == 0, shown.err
    assert "LoRA of rank 4, alpha 32, on attention, experts, router" in shown.out + shown.err


def test_other_adapters_are_another_run(corpus, base, tuned, tmp_path):
    killed_after_step_3(tuned, tmp_path)
    done = run_command(*tuning(corpus, base, tmp_path), "lora.rank=8")
    assert done.code != 0 and "lora.rank=8 but the run in" in done.err


ADAPTED = StageConfig(lora=LoraConfig(rank=8), checkpoint=CheckpointConfig(init_from="runs/first"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": CheckpointConfig()}, "lora.rank=8 cannot be used with checkpoint.init_from, which is empty"),
        (
            {"engine": EngineConfig(expert_kernels=ExpertKernels.compiled)},
            "lora.rank=8 cannot be used with engine.expert_kernels=compiled, .*: use engine.expert_kernels=torch",
        ),
        (
            {"optim": OptimConfig(method=Method.muon)},
            "optim.method=muon, which moves whole matrices.*use optim.method=adamw",
        ),
        (
            {"balance": BalanceConfig(method=BalanceMethod.global_loss)},
            "balance.method=global_loss.*add router to lora.targets",
        ),
        ({"balance": BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.1)}, "balance.z_loss_weight=0.1"),
        (
            {
                "lora": LoraConfig(rank=8, trained_whole=[WholePart.embeddings]),
                "engine": EngineConfig(pipeline_parallel=2, zero_stage=1),
                "balance": BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0),
            },
            r"lora.trained_whole=\[embeddings\] and engine.pipeline_parallel=2",
        ),
    ],
)
def test_what_adapters_cannot_be_used_with_is_refused_with_the_mend(changes, message):
    with pytest.raises(ValueError, match=message):
        check_lora(replace(ADAPTED, **changes))


def test_a_balancing_loss_may_train_adapted_routers():
    loss = BalanceConfig(method=BalanceMethod.global_loss)
    check_lora(replace(ADAPTED, balance=loss, lora=LoraConfig(rank=8, targets=[LoraTarget.router])))
    check_lora(replace(ADAPTED, balance=loss, lora=LoraConfig(rank=8, trained_whole=[WholePart.router])))
    check_lora(replace(ADAPTED, balance=loss, lora=LoraConfig(rank=0)))


def test_an_adapted_router_wants_the_policy_that_trains_routers():
    adapted = SftConfig(
        checkpoint=CheckpointConfig(init_from="runs/first"),
        balance=BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0),
        lora=LoraConfig(rank=8, targets=[LoraTarget.router]),
    )
    with pytest.raises(
        ValueError, match=r"beside router.policy=frozen, which keeps the routers: use router.policy=aux"
    ):
        check_lora(adapted)
