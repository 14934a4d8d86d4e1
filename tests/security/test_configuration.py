"""Overrides, option files, the environment and a run's own config.yaml: settings are data, whoever wrote them."""

import json
from pathlib import Path

import pytest
import yaml

from mai1.run.compose import compose_config, config_directory
from mai1.run.config import PretrainConfig
from mai1.run.directory import claim_run_directory, plain
from tests.security.conftest import pretraining
from tests.support.commands import run_command

SECRET = "hf_thisIsASecretThatNobodyMayRead"
EVIL_YAML = """# @package _global_
train: {steps: 77}
data: {path: "${oc.env:HF_TOKEN}"}
"""


@pytest.mark.parametrize(
    "override",
    [
        "+_target_=os.system",
        "data._target_=os.system",
        "+data._partial_=true",
        "+data._args_=['touch {marker}']",
        "data={_target_: os.system, _args_: ['touch {marker}']}",
        "+optim={_target_: builtins.open, file: {marker}, mode: w}",
        "data.path=${oc.env:HF_TOKEN}",
        "data.path=${oc.env:HF_TOKEN,none}",
        "data.path='${oc.env:HF_TOKEN}'",
        "data.path=\\${oc.env:HF_TOKEN}",
        "run.name=x${oc.decode:${oc.env:HF_TOKEN}}",
        "run.name=${hydra:runtime.cwd}",
        "run.name=${now:%Y}",
        "hydra.run.dir={folder}",
        "++hydra.run.dir={folder}",
        "hydra.job.chdir=true",
        "hydra.output_subdir={folder}",
        "hydra/launcher=joblib",
        "+hydra/callbacks=x",
        "hydra.searchpath=[{folder}]",
        "+hydra.callbacks.x._target_=os.system",
        "~hydra",
        "hydra=x",
        "experiment={folder}/evil",
        "experiment=../../../../../../../../{folder}/evil",
        "experiment=[../../../../../../../../{folder}/evil]",
        "+../../{folder}/evil@_global_=x",
        "model@_global_=tiny",
        "--config-dir={folder}",
        "--config-path={folder}",
        "--multirun",
        "-m",
        "@{folder}/evil",
    ],
)
def test_an_override_that_reaches_outside_is_refused(override, tmp_path, marker, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    (tmp_path / "evil.yaml").write_text(EVIL_YAML)
    override = override.replace("{marker}", str(marker)).replace("{folder}", str(tmp_path).lstrip("/"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError) as caught:
        compose_config("pretrain", PretrainConfig, [override])
    assert SECRET not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_what_escapes_an_interpolation_is_text_like_any_other(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    typed = "$\\{oc.env\\:HF_TOKEN\\}"
    assert compose_config("pretrain", PretrainConfig, [f"data.path={typed}"]).data.path == typed


def test_an_option_file_that_names_the_environment_is_refused(tmp_path, monkeypatch):
    """Even one that got among our own files: what it names is not read."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "model").mkdir()
    for name in ("pretrain.yaml", "model/tiny.yaml"):
        (tmp_path / name).write_text((config_directory() / name).read_text())
    (tmp_path / "experiment" / "evil.yaml").write_text(EVIL_YAML)
    monkeypatch.setattr("mai1.run.compose.config_directory", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"oc\.env:HF_TOKEN.*reads nothing from outside") as caught:
        compose_config("pretrain", PretrainConfig, ["experiment=evil"])
    assert SECRET not in str(caught.value)


def test_hydras_environment_variables_change_nothing(tmp_path, monkeypatch):
    plain_config = compose_config("pretrain", PretrainConfig, [])
    for name in ("HYDRA_FULL_ERROR", "HYDRA_MAIN_MODULE", "HYDRA_BOOTSTRAP", "HYDRA_CONFIG_PATH", "HYDRA_RUN_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    assert compose_config("pretrain", PretrainConfig, []) == plain_config
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "os.system")
    with pytest.raises(ValueError, match="HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE is set: unset it"):
        compose_config("pretrain", PretrainConfig, [])


YAML_PAYLOADS = {
    "apply": "!!python/object/apply:os.system ['touch {marker}']",
    "nested apply": "run: {{name: r}}\nx: !!python/object/apply:subprocess.check_call [[touch, '{marker}']]",
    "new": "!!python/object/new:os.system ['touch {marker}']",
    "name": "run: !!python/name:os.system",
    "module": "run: !!python/module:antigravity",
    "unknown tag": "run: !evil x",
    "a bomb": "a: &a {{x: 1}}\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} {{{{" + ", ".join(f"k{j}: *{chr(97 + i)}" for j in range(9)) + "}}}}\n"
        for i in range(12)
    ),
    "no mapping": "[1, 2]",
    "text": "just words",
    "nothing": "",
    "deep": "[" * 50_000,
    "torn": "run: {{name:",
    "binary": "\x00\x01",
}  # fmt: skip


@pytest.mark.parametrize("name", YAML_PAYLOADS)
def test_a_runs_own_configuration_is_read_back_as_plain_values(tmp_path, marker, name: str):
    config = compose_config("pretrain", PretrainConfig, [f"run.directory={tmp_path}", "run.name=r"])
    claim_run_directory(config, facts={}).close()
    path = tmp_path / "r" / "config.yaml"
    path.write_text(YAML_PAYLOADS[name].format(marker=marker))
    with pytest.raises(ValueError, match=r"(?s)config\.yaml is no configuration of a run.*choose another run.name"):
        claim_run_directory(config, facts={})


def test_a_huge_configuration_is_refused_unread(tmp_path):
    config = compose_config("pretrain", PretrainConfig, [f"run.directory={tmp_path}", "run.name=r"])
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.yaml").write_bytes(b"# " + b"x" * (2 << 16))
    with pytest.raises(ValueError, match="has more than 65536 bytes"):
        claim_run_directory(config, facts={})


def test_what_a_run_writes_down_it_reads_back(tmp_path):
    config = compose_config("pretrain", PretrainConfig, [f"run.directory={tmp_path}", "run.name=r"])
    for _ in range(2):
        claim_run_directory(config, facts={}).close()
    assert yaml.safe_load((tmp_path / "r" / "config.yaml").read_text()) == plain(config)


def test_targets_in_the_files_of_a_run_are_read_by_nobody(run: Path, corpus: Path, marker: Path):
    """Resuming reads run.json, state.json, answers and metrics: whatever they hold beside what is known is left alone."""
    planted = {"_target_": "os.system", "_args_": [f"touch {marker}"]}
    for file in ("run.json", "environment.json", "baselines.json"):
        content = json.loads((run / file).read_text())
        (run / file).write_text(json.dumps(content | planted | {"extra": planted}))
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"kind": "train", "step": 1} | planted) + "\n")
    done = run_command(*pretraining(corpus, run.parent), "train.stop_after_steps=1")
    assert done.code == 0, done.err
