"""`mai1 mixture`: what a run would see of each source, small runs on random mixtures, and the mixture they speak for."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from mai1.checkpoint.checkpoint import read_state
from mai1.data.shards import ShardWriter
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.directory import plain
from tests.run.conftest import TINY_RUN
from tests.run.test_damaged_data import assert_refused, prepared, pretrain  # noqa: F401 (a fixture)
from tests.support.commands import run_command

SIZES = {"code": 30_000, "noise": 10_000, "web": 60_000}
SLOPES = {"code": {"code": -2.0, "noise": 0.3, "web": -0.2}, "web": {"code": -0.1, "noise": 0.2, "web": -1.5}}
BASE = plain(compose_config("pretrain", PretrainConfig, ["train.steps=10"]))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Shards of three sources, without text."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "train").mkdir()
    for name, size in SIZES.items():
        with ShardWriter(folder / "train" / name, vocab_size=100) as writer:
            for _ in range(size // 100):
                writer.add(np.arange(100))
            writer.close({"bytes": size})
    return folder


def loss_of(source: str, weights: dict[str, float]) -> float:
    return 2 + np.exp(sum(SLOPES[source][name] * weight for name, weight in weights.items()))


def write_run(directory: Path, data: Path, weights: dict[str, float], *, noise: float = 0.0, **changes: float) -> Path:
    """A finished run as `mai1 pretrain` leaves it behind, its losses those of a known law."""
    directory.mkdir(parents=True)
    config = BASE | {"run": BASE["run"] | {"name": directory.name}, "optim": BASE["optim"] | changes}
    config["data"] = BASE["data"] | {"path": str(data), "mixture": BASE["data"]["mixture"] | {"weights": weights}}
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    losses = {name: {"loss": loss_of(name, weights) + noise, "tokens": 1000} for name in SLOPES}
    records = [{"kind": "heldout", "step": 0, "sources": {}}, {"kind": "train", "step": 10}]
    records.append({"kind": "heldout", "step": 10, "sources": losses})
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return directory


def write_sweep(folder: Path, data: Path, count: int, *, noise: float = 0.0) -> list[Path]:
    generator = np.random.default_rng(0)
    mixtures = [dict(zip(SIZES, generator.dirichlet([0.8] * 3).round(4).tolist(), strict=True)) for _ in range(count)]
    return [
        write_run(folder / f"s-{i:03d}", data, mixture, noise=noise * generator.normal())
        for i, mixture in enumerate(mixtures)
    ]


def test_a_plan_tells_epochs_and_refuses_what_does_not_suffice(mai1, data):
    run = [
        f"data.path={data}",
        "data.sequence_length=50",
        "batch.sequences_per_step=10",
        "batch.sequences_per_microbatch=10",
    ]
    shown = mai1("mixture", "plan", *run, "train.steps=100", "data.mixture.weights={code: 1, noise: 0, web: 1}")
    assert shown.code == 0, shown.err
    rows = {line.split()[0]: line.split()[1:] for line in shown.out.splitlines()[2:]}
    assert [rows[name][0] for name in SIZES] == ["30,000", "10,000", "60,000"]
    assert [float(rows[name][1].rstrip("%")) for name in SIZES] == pytest.approx([50, 0, 50], abs=1)
    assert [float(rows[name][2]) for name in SIZES] == pytest.approx([0.83, 0, 0.42], abs=0.02)
    plain_mix = mai1("mixture", "plan", *run, "train.steps=100")
    assert [line.split()[-1] for line in plain_mix.out.splitlines()[2:]] == ["0.50"] * 3
    short = mai1("mixture", "plan", *run, "train.steps=1000", "data.mixture.max_epochs=4")
    assert short.code == 2 and "train.steps=1000 needs 500,000 tokens" in short.err and "too few" in short.err
    online = mai1("mixture", "plan", *run, "data.mixture.online.every_steps=1")
    assert online.code == 2 and "nobody knows it now" in online.err


def test_a_sweep_prints_commands_that_pretrain_understands(mai1, data):
    shown = mai1("mixture", "sweep", "count=6", f"data.path={data}", "run.name=s", "train.steps=7")
    assert shown.code == 0, shown.err
    weights = []
    for number, line in enumerate(shown.out.splitlines()):
        head, command, *overrides = shlex.split(line)
        config = compose_config(command, PretrainConfig, overrides)
        assert (head, config.run.name, config.train.steps) == ("mai1", f"s-{number:03d}", 7)
        weights.append(config.data.mixture.weights)
        assert weights[-1].keys() == SIZES.keys() and sum(weights[-1].values()) == pytest.approx(1, abs=1e-4)
    assert len(weights) == 6 and len({tuple(w.values()) for w in weights}) == 6
    again = mai1("mixture", "sweep", "count=6", f"data.path={data}", "run.name=s", "train.steps=7")
    assert again.out == shown.out
    assert (
        mai1("mixture", "sweep", "count=6", "seed=1", f"data.path={data}", "run.name=s", "train.steps=7").out
        != shown.out
    )
    capped = mai1("mixture", "sweep", "count=9", f"data.path={data}", "tokens=90000", "max_epochs=2").out
    assert all(
        compose_config("pretrain", PretrainConfig, shlex.split(line)[2:]).data.mixture.weights["noise"] < 0.2223
        for line in capped.splitlines()
    )


def test_a_started_sweep_runs_goes_on_and_can_be_fitted(mai1, prepared, tmp_path, monkeypatch):  # noqa: F811
    started = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        started.append(command[3:])
        ended = run_command(*command[3:])
        return subprocess.CompletedProcess(command, ended.code, ended.out, ended.err)

    monkeypatch.setattr("mai1.run.mixture.subprocess.run", run)
    settings = [*TINY_RUN, f"data.path={prepared}", f"run.directory={tmp_path}", "run.name=s", "train.self_check=false"]
    settings += ["train.steps=2", "samples.count=0", "count=3", "start=true"]
    done = mai1("mixture", "sweep", *settings)
    assert done.code == 0, done.err
    assert len(started) == 3 and done.out.splitlines() == [str(tmp_path / f"s-{number:03d}") for number in range(3)]
    shutil.rmtree(tmp_path / "s-001")
    assert mai1("mixture", "sweep", *settings).code == 0 and len(started) == 4
    fitted = mai1("mixture", "fit", *sorted(tmp_path.iterdir()))
    assert fitted.code == 2 and "3 runs are too few for 2 sources: give at least 4" in fitted.err
    changed = mai1("mixture", "sweep", *settings, "optim.learning_rate=0.5")
    assert changed.code == 2 and "optim.learning_rate=0.5 but the run in" in changed.err and len(started) == 5


def test_a_fit_finds_the_best_mixture_of_a_known_law(mai1, data, tmp_path):
    runs = write_sweep(tmp_path / "runs", data, 20)
    shown = mai1("mixture", "fit", *runs, "target=code=2,web=1", f"output={tmp_path / 'best.yaml'}", "max_epochs=0")
    assert shown.code == 0, shown.err
    assert "exponential" in shown.out and "used" in shown.out.split("exponential")[1].splitlines()[0]
    found = yaml.safe_load((tmp_path / "best.yaml").read_text())["data"]["mixture"]["weights"]
    grid = [{"code": a / 50, "noise": b / 50, "web": 1 - (a + b) / 50} for a in range(51) for b in range(51 - a)]
    best = min(grid, key=lambda weights: 2 * loss_of("code", weights) + loss_of("web", weights))
    assert found == pytest.approx(best, abs=0.06)
    assert (tmp_path / "best.yaml").read_text().startswith("# @package _global_\n")
    [override] = [line for line in shown.out.splitlines() if line.startswith("data.mixture.weights=")]
    assert compose_config("pretrain", PretrainConfig, [override]).data.mixture.weights == pytest.approx(found)


def test_a_fit_keeps_to_the_epochs_that_the_large_run_allows(mai1, data, tmp_path):
    runs = write_sweep(tmp_path / "runs", data, 20)
    shown = mai1("mixture", "fit", *runs, "tokens=200000", "max_epochs=3", f"output={tmp_path / 'best.yaml'}")
    assert shown.code == 0, shown.err
    mixture = yaml.safe_load((tmp_path / "best.yaml").read_text())["data"]["mixture"]
    assert mixture["max_epochs"] == 3 and mixture["weights"]["code"] <= 30_000 * 3 / 200_000 + 1e-4
    assert "epochs" in shown.out
    far = mai1("mixture", "fit", *runs, "tokens=1e6", "max_epochs=3")
    assert far.code == 2 and "tokens=1e+06 are 700,000 more than all sources give in max_epochs=3" in far.err


def test_what_says_nothing_is_not_fitted(mai1, data, tmp_path):
    flat = [
        write_run(tmp_path / f"f-{i}", data, dict(zip(SIZES, w, strict=True)), noise=0.0)
        for i, w in enumerate(np.random.default_rng(1).dirichlet([1] * 3, 12).round(3).tolist())
    ]
    for number, run in enumerate(flat):  # losses that have nothing to do with the weights
        lines = (run / "metrics.jsonl").read_text().splitlines()
        record = json.loads(lines[-1])
        for place, name in enumerate(sorted(SLOPES)):
            record["sources"][name]["loss"] = 3 + 0.1 * np.sin(7.0 * number + place)
        (run / "metrics.jsonl").write_text("\n".join([*lines[:-1], json.dumps(record)]) + "\n")
    refused = mai1("mixture", "fit", *flat)
    assert refused.code == 2 and "no law predicts runs left out of the fit better than their mean" in refused.err


def test_runs_that_cannot_be_compared_are_refused_by_name(mai1, data, tmp_path):
    runs = write_sweep(tmp_path / "runs", data, 6)
    weights = {"code": 0.5, "noise": 0.1, "web": 0.4}
    longer = write_run(tmp_path / "longer", data, weights, learning_rate=1e-4)
    outcome = mai1("mixture", "fit", *runs, longer)
    assert outcome.code == 2 and "longer has optim.learning_rate=0.0001" in outcome.err
    capped = write_run(tmp_path / "capped", data, weights)
    (capped / "config.yaml").write_text(
        (capped / "config.yaml").read_text().replace("max_epochs: 0.0", "max_epochs: 2.0")
    )
    alone = mai1("mixture", "fit", capped)
    assert alone.code == 2 and "capped has no constant mixture" in alone.err
    unfinished = write_run(tmp_path / "unfinished", data, weights)
    (unfinished / "metrics.jsonl").write_text('{"kind": "heldout", "step": 5, "sources": {}}\n')
    outcome = mai1("mixture", "fit", *runs, unfinished)
    assert outcome.code == 2 and "unfinished has no held-out loss at its last step, 10" in outcome.err
    (unfinished / "metrics.jsonl").write_text("[1]\n")
    assert "unfinished is no run of a mixture that can be read" in mai1("mixture", "fit", unfinished).err
    assert f"{data} is no run" in mai1("mixture", "fit", data).err
    assert (
        "target=sms: 'sms' has no held-out text: use all, or some of code, web"
        in mai1("mixture", "fit", *runs, "target=sms").err
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plon"], "mixture plon: give an action: plan, sweep, fit"),
        (["fit"], "give the directories of runs"),
        (["fit", "x", "targit=all"], "give the directories of runs"),
        (["sweep", "count=1"], "count=1 must be at least 2"),
        (["sweep", "count=many"], "count=many must be a number"),
        (["sweep", "count=2", "start=yes"], "start=yes must be true or false"),
        (["fit"], "mai1: mixture fit: give the directories"),
        (["sweep", "data.mixture.max_epochs=2"], "mixture sweep draws data.mixture itself"),
        (["plan", "data.path=/nowhere"], "data.path=/nowhere holds no prepared data"),
        (["plan", "data.path="], "data.path='' must name a directory"),
    ],
)
def test_mistakes_are_one_line(mai1, arguments, words):
    outcome = mai1("mixture", *arguments)
    assert outcome.code == 2 and words in outcome.err and outcome.err.count("mai1: ") == 1, outcome.err


def test_weights_are_given_as_a_mapping_or_one_by_one():
    def weights(*overrides: str) -> dict[str, float]:
        return compose_config("pretrain", PretrainConfig, list(overrides)).data.mixture.weights

    assert weights("data.mixture.weights={web: 3, my-notes: 0.5}") == {"web": 3.0, "my-notes": 0.5}
    assert weights("data.mixture.weights.web=3", "data.mixture.weights.code=1", "data.mixture.weights.web=2") == {
        "web": 2,
        "code": 1,
    }
    for wrong, words in (
        ("data.mixture.weights.web=much", "could not be converted to Float"),
        ("data.mixture.wieghts={web: 1}", "did you mean data.mixture.weights"),
        ("data.mixture.weights={web: -1}", "data.mixture.weights.web=-1.0 must not be negative"),
        ("data.mixture.curriculum=[{from: 3}]", "from"),
    ):
        with pytest.raises(ValueError, match=words):
            weights(wrong)


def test_help_says_what_the_actions_do(mai1):
    assert "mai1 mixture sweep" in mai1("mixture", "--help").out


def test_a_run_on_a_mixture_learns_from_it_resumes_and_says_what_it_saw(prepared, tmp_path):  # noqa: F811
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    settings = ("data.mixture.weights={a: 3, b: 1}", "train.steps=16", "batch.sequences_per_step=16")
    run = tmp_path / "r"
    assert pretrain(data, *settings, "train.stop_after_steps=5").code == 0
    other = pretrain(data, "data.mixture.weights={a: 1, b: 1}", *settings[1:])
    assert_refused(other, "data.mixture.weights.a=1.0 but the run", "data.mixture.weights.a=3.0")
    assert_refused(
        pretrain(data, "data.mixture.weights={a: 1, c: 1}", "run.name=x"), "weights.c names no source: use a, b"
    )
    assert_refused(
        pretrain(data, "data.mixture.max_epochs=0.1", "train.steps=100", "run.name=x"), "too few", "train.steps="
    )
    done = pretrain(data, *settings)
    assert done.code == 0 and "going on from step 5 of 16" in done.err, done.err
    assert pretrain(data, *settings, "run.name=straight").code == 0
    name = "checkpoints/latest/model-00001-of-00001.safetensors"
    assert (run / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [record["sources"] for record in records if record["kind"] == "train"]
    assert all((record["a"]["weight"], record["b"]["weight"]) == (0.75, 0.25) for record in train)
    seen = {name: sum(record.get(name, {}).get("targets", 0) for record in train) for name in "ab"}
    assert seen["a"] / sum(seen.values()) == pytest.approx(0.75, abs=0.1)

    changed = ("data.mixture.weights={a: 1, b: 1}", "data.accept_changes=true", *settings[1:], "train.steps=18")
    accepted = pretrain(data, *changed)
    assert accepted.code == 0 and "WARNING: the data changed; from step 16 on" in accepted.err, accepted.err
    assert read_state((run / "checkpoints" / "latest").resolve()).step == 18
