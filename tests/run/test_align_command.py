"""`mai1 align` as a person runs it: pairs in, a tuned model out, with a reference that is measured once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.run.conftest import TINY_RUN
from tests.support.commands import Ended, run_command

SMALL = [
    "data.sequence_length=256",
    "batch.sequences_per_step=4",
    "batch.sequences_per_microbatch=2",
    "train.steps=4",
    "train.log_every=1",
    "train.heldout_every=2",
    "checkpoint.every_steps=2",
    "optim.learning_rate=1e-2",
    "optim.warmup_steps=1",
    "sampling.max_new_tokens=4",
    "samples.questions=3",
    "router.probe_tokens=256",
    "preference.beta=0.5",
]
ROUTERS, BIASES = "mlp.gate.weight", "mlp.gate.e_score_correction_bias"
REAL = Path(__file__).parents[3] / "shared/data/instruct/rasbt_instruction-data-with-preference.json"


@pytest.fixture(scope="module")
def base(corpus: Path, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    done = run_command("pretrain", *TINY_RUN, f"data.path={corpus}", f"run.directory={runs}", "train.steps=3")
    assert done.code == 0, done.err
    return runs / "first"


@pytest.fixture(scope="module")
def pairs(texts: Path, tmp_path_factory) -> Path:
    """Files of pairs in three shapes, one of them with equal answers."""
    folder = tmp_path_factory.mktemp("pairs")
    names = [path.stem for path in sorted(texts.iterdir())]
    records = [
        {"prompt": f"What is {name}?", "chosen": f"It is {name}, a topic.", "rejected": "No idea at all."}
        for name in names[:10]
    ]
    records += [
        {
            "prompt": [{"role": "user", "content": f"Tell me of {name}"}],
            "chosen": [{"role": "assistant", "content": "Gladly."}],
            "rejected": [{"role": "assistant", "content": "I would rather not."}],
            "source": "talks",
        }
        for name in names[10:16]
    ]
    records += [
        {
            "conversations": [{"from": "human", "value": f"And {name}?"}],
            "chosen": {"from": "gpt", "value": "Of course."},
            "rejected": {"from": "gpt", "value": "Never mind that."},
        }
        for name in names[16:20]
    ]
    same = {"prompt": "Who?", "chosen": "Me.", "rejected": "Me."}
    for split, part in (("train", [*records[4:], same]), ("heldout", records[:4])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in part))
    return folder


def align(base: Path, pairs: Path, name: str, *further: str) -> Ended:
    return run_command(
        "align", *SMALL, f"checkpoint.init_from={base}", f"data.train={pairs}/train.jsonl",
        f"data.heldout={pairs}/heldout.jsonl", f"run.directory={base.parent}", f"run.name={name}", *further,
    )  # fmt: skip


@pytest.fixture(scope="module")
def aligned(base: Path, pairs: Path) -> Path:
    done = align(base, pairs, "aligned")
    assert done.code == 0, done.err
    assert "1 pairs have two equal answers, which teach nothing, and are left out" in done.err
    assert "ranked rightly by reward" in done.err and "routing against the start: KL" in done.err
    return base.parent / "aligned"


def records_of(run: Path, kind: str) -> list[dict]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    found = {}
    for path in (run / "checkpoints" / "latest").glob("model*.safetensors"):
        found |= load_file(path)
    return found


def test_margins_and_accuracy_are_recorded_before_and_after(aligned: Path):
    steps = records_of(aligned, "train")
    assert [record["step"] for record in steps] == [1, 2, 3, 4]
    assert {"reward_margin", "preference_accuracy", "logp_chosen", "log_ratio"} <= steps[0].keys()
    assert steps[-1]["reward_margin"] > abs(steps[0]["reward_margin"])
    before, *_, after = records_of(aligned, "pairs")
    assert before["step"] == 0 and after["step"] == 4 and before["pairs"] == 4
    assert before["preference_accuracy"] == pytest.approx(0.5) and before["reward_margin"] == pytest.approx(0, abs=1e-6)
    assert after["loss"] < before["loss"]


def test_routing_has_not_moved_at_the_start_and_is_followed_from_there(aligned: Path):
    first, *_, last = records_of(aligned, "routing")
    assert first["step"] == 0 and first["kl"] == 0.0 and first["changed"] == 0.0
    assert last["step"] == 4 and last["kl"] > 0 and list(last["layers"]) == ["1"]


def test_a_frozen_router_is_that_of_the_base_to_the_bit(base: Path, aligned: Path):
    before, after = weights_of(base), weights_of(aligned)
    kept = [name for name in before if name.endswith((ROUTERS, BIASES))]
    assert len(kept) == 2 and all(torch.equal(before[name], after[name]) for name in kept)
    assert not all(torch.equal(before[name], after[name]) for name in before)
    with safe_open(
        aligned / "checkpoints/latest/trainer/optimizer-00001-of-00001.safetensors", framework="pt"
    ) as opened:
        assert not [key for key in opened.keys() if "router" in key]  # noqa: SIM118


def test_an_interrupted_run_ends_as_one_that_was_not_and_reads_its_reference(base: Path, pairs: Path, aligned: Path):
    stopped = align(base, pairs, "stopped", "train.stop_after_steps=2")
    assert stopped.code == 0 and "reference: train" in stopped.err, stopped.err
    resumed = align(base, pairs, "stopped")
    assert resumed.code == 0 and "reference: train" not in resumed.err, resumed.err
    ours, theirs = weights_of(base.parent / "stopped"), weights_of(aligned)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert records_of(base.parent / "stopped", "routing")[-1] == records_of(aligned, "routing")[-1]


def test_a_reference_is_never_measured_again_with_a_model_that_was_trained(base: Path, pairs: Path):
    run = base.parent / "lost"
    assert align(base, pairs, "lost", "train.stop_after_steps=2").code == 0
    path = run / "reference.safetensors"
    kept = load_file(path)
    path.unlink()
    missing = align(base, pairs, "lost")
    assert missing.code == 2 and "reference.safetensors is missing" in missing.err and "restore the file" in missing.err
    save_file(kept, path, metadata={"key": "of another model"})
    other = align(base, pairs, "lost")
    assert other.code == 2 and "is of another model or other data" in other.err


def test_the_probe_of_routing_can_be_given_up_when_its_start_is_lost(base: Path, pairs: Path):
    assert align(base, pairs, "no-probe", "train.stop_after_steps=2").code == 0
    (base.parent / "no-probe" / "router_start.safetensors").unlink()
    refused = align(base, pairs, "no-probe")
    assert refused.code == 2 and "router.probe_tokens=0" in refused.err
    assert align(base, pairs, "no-probe", "router.probe_tokens=0").code == 0


def test_adapters_learn_preferences_and_everything_else_stays(base: Path, pairs: Path):
    done = align(base, pairs, "adapted", "lora.rank=4", "lora.targets=[attention,experts]")
    assert done.code == 0, done.err
    run = base.parent / "adapted"
    before, *_, after = records_of(run, "pairs")
    assert before["reward_margin"] == pytest.approx(0, abs=1e-6) and after["loss"] < before["loss"]
    weights, merged = weights_of(base), weights_of(run)
    moved = {name for name in weights if not torch.equal(weights[name], merged[name])}
    adapted = (".q_proj.", ".k_proj.", ".v_proj.", ".o_proj.", ".experts.")
    assert moved == {name for name in weights if any(part in name for part in adapted) and "norm" not in name}


def test_noise_on_embeddings_disturbs_training_and_not_what_is_measured(base: Path, pairs: Path, aligned: Path):
    done = align(base, pairs, "noisy", "neftune.alpha=5", "train.steps=1", "samples.questions=0")
    assert done.code == 0, done.err
    noisy = base.parent / "noisy"
    (disturbed,), plain = records_of(noisy, "train"), records_of(aligned, "train")[0]
    assert plain["reward_margin"] == pytest.approx(0, abs=1e-6) and abs(disturbed["reward_margin"]) > 1e-3
    assert records_of(noisy, "pairs")[0]["reward_margin"] == pytest.approx(0, abs=1e-6)


def test_orpo_needs_no_reference(base: Path, pairs: Path):
    done = align(base, pairs, "orpo", "preference.method=orpo", "preference.odds_weight=0.5")
    assert done.code == 0, done.err
    run = base.parent / "orpo"
    assert not (run / "reference.safetensors").exists()
    assert "log_ratio" not in records_of(run, "train")[0]
    before, *_, after = records_of(run, "pairs")
    assert after["nats_chosen"] < before["nats_chosen"]


@pytest.fixture(scope="module")
def judged(pairs: Path, tmp_path_factory) -> Path:
    """The same answers judged one by one, in two shapes, twice as many liked."""
    folder = tmp_path_factory.mktemp("judged")
    for split in ("train", "heldout"):
        lines = []
        for number, line in enumerate((pairs / f"{split}.jsonl").read_text().splitlines()):
            record = json.loads(line)
            if not isinstance(record["chosen"], str):
                lines.append(record)
                continue
            is_liked = number % 3 != 0
            answer = record["chosen" if is_liked else "rejected"]
            lines.append({"prompt": record["prompt"], "completion": answer, "label": is_liked})
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_answers_that_were_judged_one_by_one_are_learned_and_a_stopped_run_ends_as_one_that_was_not(base, judged):
    whole = align(base, judged, "judged", "preference.method=kto")
    assert whole.code == 0, whole.err
    assert "desirable and " in whole.err and "would even them out" not in whole.err
    before, *_, after = records_of(base.parent / "judged", "pairs")
    assert before["loss"] == pytest.approx(0.5, abs=1e-6) and before["reference_point"] == 0.0
    assert after["loss"] < before["loss"] and after["preference_accuracy"] > 0.5 and "likelier" not in after
    steps = records_of(base.parent / "judged", "train")
    assert {"reference_point", "reward_margin"} <= steps[0].keys() and steps[-1]["reward_margin"] > 0
    stopped = align(base, judged, "judged-stopped", "preference.method=kto", "train.stop_after_steps=2")
    resumed = align(base, judged, "judged-stopped", "preference.method=kto")
    assert (stopped.code, resumed.code) == (0, 0) and "reference: train" not in resumed.err, resumed.err
    ours, theirs = (weights_of(base.parent / name) for name in ("judged-stopped", "judged"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_pairs_are_answers_too_and_an_uneven_weight_is_said(base: Path, pairs: Path):
    settings = ("preference.method=kto", "preference.desirable_weight=0.25", "samples.questions=0", "train.steps=1")
    done = align(base, pairs, "kto-of-pairs", *settings)
    assert done.code == 0 and "preference.desirable_weight=1.00 would even them out" in done.err, done.err
    assert "likelier" in records_of(base.parent / "kto-of-pairs", "pairs")[0]


def test_the_policies_move_what_they_say(base: Path, pairs: Path):
    aux = ("router.policy=aux", "balance.method=sequence_loss", "balance.loss_weight=0.1", "train.steps=2")
    bias = ("router.policy=bias", "balance.method=bias", "train.steps=2")
    for name, settings, moved in (("aux", aux, ROUTERS), ("bias", bias, BIASES)):
        done = align(base, pairs, name, *settings)
        assert done.code == 0, done.err
        before, after = weights_of(base), weights_of(base.parent / name)
        routers = [tensor for tensor in before if tensor.endswith((ROUTERS, BIASES))]
        assert [n for n in routers if not torch.equal(before[n], after[n])] == [n for n in routers if n.endswith(moved)]
    assert records_of(base.parent / "aux", "train")[0]["balance_loss"] > 0.5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["router.policy=aux"],
            "router.policy=aux trains the routers with a balancing loss, which balance.method=none is none",
        ),
        (["balance.method=global_loss"], "router.policy=frozen leaves balance.method=global_loss nothing to move"),
        (["router.policy=bias"], "router.policy=bias with balance.method=none would move nothing"),
        (["balance.z_loss_weight=0.1"], "balance.z_loss_weight=0.1 cannot shrink their logits"),
        (["selection.method=drop_learned"], "selection.method=drop_learned selects tokens"),
        (["preference.undesirable_weight=0"], "preference.undesirable_weight=0.0 must be above 0"),
        (["data.sequence_length=8"], "data.sequence_length=8 has room for none of the 17 pairs"),
    ],
)
def test_contradictions_are_one_line(base: Path, pairs: Path, settings: list[str], said: str, mai1):
    ended = mai1(
        "align", *SMALL, f"checkpoint.init_from={base}", f"data.train={pairs}/train.jsonl",
        "data.heldout=", f"run.directory={base.parent}",
        "run.name=never", *settings,
    )  # fmt: skip
    assert ended.code == 2 and said in ended.err, ended.err


@pytest.mark.skipif(not REAL.is_file(), reason="no real preferences on this machine")
def test_real_preferences_are_read_whole(base: Path, tmp_path: Path, mai1):
    from mai1.data.preferences import read_preferences
    from mai1.objective.pair_losses import PreferenceConfig
    from mai1.run.preferences import open_preferences
    from mai1.tokenizer.tokenizer import Tokenizer

    read = read_preferences(REAL)
    tokenizer = Tokenizer.load(base / "checkpoints" / "latest")
    sizes = {"sequence_length": 1024, "seed": 0, "heldout_rows": 0}
    data = open_preferences(REAL, None, tokenizer, preference=PreferenceConfig(), **sizes)
    assert len(read) == 1100 and len(data.rows.pairs) > 1000
    pair = data.rows.pairs[0]
    assert tokenizer.decode([i for i, m in zip(pair.chosen.ids, pair.chosen.loss_mask, strict=True) if m]) == (
        read[0][0].chosen + "<|end|>"
    )
