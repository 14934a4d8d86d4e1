"""Names that people and files choose: none leaves its directory, none is followed through a link, none breaks a line."""

import json
import os
from pathlib import Path

import pytest

from data_prep.config import PrepareConfig
from data_prep.reading.source import SourceConfig
from mai1.checkpoint.manifest import read_manifest
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig, RunConfig
from mai1.run.directory import claim_run_directory, write_atomically
from tests.security.conftest import pretraining
from tests.support.commands import run_command

BAD_NAMES = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/tmp/x",
    "a/../../b",
    ".hidden",
    "a\nb",
    "a\x00b",
    "\x1b[31mred",
    "a\u202eb",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_run_name_is_one_printable_folder(name: str):
    with pytest.raises(ValueError, match="must be a plain folder name"):
        RunConfig(name=name)


@pytest.mark.parametrize(
    "name", ["$(touch {marker})", "; touch {marker}", "`touch x`", "a'b\"c", "-rf", "*", "x" * 300]
)
def test_a_strange_run_name_is_a_folder_or_refused_and_nothing_else(tmp_path, marker, name: str):
    name = name.replace("{marker}", marker.name)
    config = PretrainConfig(run=RunConfig(name=name, directory=str(tmp_path / "runs")))
    try:
        claim_run_directory(config, facts={}).close()
        assert [path.name for path in (tmp_path / "runs").iterdir()] == [name]
    except (ValueError, OSError) as error:
        assert len(name) == 300 and "cannot be written" in str(error)
    assert [path.name for path in tmp_path.iterdir()] in (["runs"], [])


@pytest.mark.parametrize("name", [*BAD_NAMES, "a b", "a.b", "$(touch x)"])
def test_a_source_name_is_letters_and_digits(name: str):
    with pytest.raises(ValueError, match="must be named with letters, digits, - and _"):
        PrepareConfig(sources={name: SourceConfig(path="x")})


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_checkpoints_manifest_names_no_file_outside(run: Path, name: str):
    path = (run / "checkpoints" / "latest").resolve() / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = manifest["files"].pop("config.json")
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError):
        read_manifest(path.parent)


def test_files_are_replaced_and_links_under_temporary_names_are_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    for target in ("config.yaml.new", "config.yaml"):
        (tmp_path / target).symlink_to(precious)
    write_atomically(tmp_path / "config.yaml", "a: 1")
    assert precious.read_text() == "keep" and (tmp_path / "config.yaml").read_text() == "a: 1\n"


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    config = PretrainConfig(run=RunConfig(name="r", directory=str(tmp_path)))
    claim_run_directory(config, facts={}).close()
    (tmp_path / "r" / ".lock").unlink()
    (tmp_path / "r" / ".lock").symlink_to(precious)
    with pytest.raises(ValueError, match="cannot be written"):
        claim_run_directory(config, facts={})
    assert precious.read_text() == "keep"


@pytest.mark.parametrize("place", ["checkpoints/.staging-step_00000004", "checkpoints/step_00000004"])
def test_a_link_where_a_checkpoint_will_be_does_not_lead_away(run: Path, corpus: Path, place: str):
    """A link where a save stages or publishes: what it points to is neither deleted nor written to."""
    away = run.parent.parent / "away"
    away.mkdir()
    (away / "precious").write_text("keep")
    (run / place).symlink_to(away)
    ended = run_command(*pretraining(corpus, run.parent), "train.stop_after_steps=2")
    assert [path.name for path in away.iterdir()] == ["precious"] and (away / "precious").read_text() == "keep", (
        ended.err
    )


def test_the_umask_holds_for_everything_a_run_writes(corpus: Path, tmp_path: Path):
    done = run_command(*pretraining(corpus, tmp_path / "runs"), "train.steps=1", before=_private)
    assert done.code == 0, done.err
    written = [path for path in (tmp_path / "runs").rglob("*") if not path.is_symlink()]
    assert len(written) > 20
    assert not [(path, oct(path.stat().st_mode)) for path in written if path.stat().st_mode & 0o077]


def _private() -> None:
    os.umask(0o077)


def test_composed_names_are_those_that_were_given():
    config = compose_config("pretrain", PretrainConfig, ["run.name='a; touch x'"])
    assert config.run.name == "a; touch x"
