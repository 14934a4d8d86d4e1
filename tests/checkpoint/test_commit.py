"""The commit protocol's small promises: what is published, what is left behind, and links that lead elsewhere."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from mai1.checkpoint import commit
from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.checkpoint.verify import checkpoints_in, newest_sound_checkpoint, verify
from tests.support.checkpoints import ALONE, publish


def test_a_published_checkpoint_is_sound_and_is_the_latest(tmp_path):
    first, second = publish(tmp_path, 1), publish(tmp_path, 2)
    assert not verify(first, ALONE)
    assert checkpoints_in(tmp_path) == [second, first]
    assert (tmp_path / "latest").resolve() == second


def test_leftovers_of_a_killed_save_are_removed_by_the_next(tmp_path):
    leftover = tmp_path / (commit.STAGE_PREFIX + "step_00000001")
    leftover.mkdir()
    (leftover / "model-00001-of-00001.safetensors").write_bytes(b"half")
    publish(tmp_path, 2)
    assert not leftover.exists()


def test_a_leftover_that_cannot_be_deleted_is_named_and_the_save_goes_on(tmp_path, monkeypatch, capsys):
    leftover = tmp_path / (commit.STAGE_PREFIX + "trash-step_00000001")
    leftover.mkdir()
    whole = shutil.rmtree

    def stubborn(path: Path, **options) -> None:
        if path == leftover:
            raise PermissionError(13, "Permission denied", str(path))
        whole(path, **options)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    assert not verify(publish(tmp_path, 2), ALONE)
    assert str(leftover) in capsys.readouterr().out


def test_a_damaged_checkpoint_is_replaced_when_its_step_is_reached_again(tmp_path):
    publish(tmp_path, 1)
    (publish(tmp_path, 2) / "config.json").write_text("{}")
    assert newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / "step_00000001"
    publish(tmp_path, 2)
    assert newest_sound_checkpoint(tmp_path, ALONE) == tmp_path / "step_00000002"
    assert not list(tmp_path.glob(commit.STAGE_PREFIX + "*"))


def test_a_file_that_changed_before_the_manifest_is_not_published(tmp_path):
    directory = tmp_path / "step_00000001"
    stage = commit.begin(directory, say=print)
    (stage / "config.json").write_text("torn")
    manifest = {"files": {"config.json": {"bytes": 9, "sha256": "0" * 64}}}
    with pytest.raises(OSError, match="config.json changed after it was written"):
        commit.publish(stage, directory, manifest=manifest)
    assert not directory.exists()


@pytest.mark.parametrize("name", ["step_00000002", "trash-step_00000001", "anything"])
def test_a_stage_that_is_a_link_is_not_followed(tmp_path, name):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir(), folder.mkdir()
    (elsewhere / "precious").write_text("kept")
    (folder / (commit.STAGE_PREFIX + name)).symlink_to(elsewhere)
    assert not verify(publish(folder, 2), ALONE)
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]
    assert not list(folder.glob(commit.STAGE_PREFIX + "*"))


def test_a_link_in_a_leftover_stage_or_in_place_of_a_checkpoint_is_removed_and_not_followed(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("kept")
    stage = folder / (commit.STAGE_PREFIX + "step_00000001")
    stage.mkdir(parents=True)
    (stage / "trainer").symlink_to(elsewhere)
    (folder / "step_00000002").symlink_to(elsewhere)
    assert not verify(publish(folder, 2), ALONE)
    assert not (folder / "step_00000002").is_symlink()
    assert (elsewhere / "precious").read_text() == "kept"


def test_a_link_planted_under_a_files_name_is_not_written_through(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    stage = commit.begin(tmp_path / "step_00000001", say=print)
    (stage / "config.json").symlink_to(precious)
    with pytest.raises(FileExistsError):
        commit.write_bytes(stage / "config.json", b"{}")
    assert precious.read_text() == "kept"


def test_a_manifest_that_nobody_would_read_is_not_published(tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "MAX_BYTES", 10)
    stage = commit.begin(tmp_path / "step_00000001", say=print)
    with pytest.raises(OSError, match="more than the 10 that are read"):
        commit.publish(stage, tmp_path / "step_00000001", manifest={"files": {}, "optimizer": {}})
    assert not (tmp_path / "step_00000001").exists()


def test_a_rank_that_never_reports_is_named(tmp_path):
    stage = commit.begin(tmp_path / "step_00000001", say=print)
    commit.report(stage, rank=0, files={}, rows=[])
    with pytest.raises(TimeoutError, match=r"ranks \[1, 2\] had not written their files"):
        commit.wait_for_reports(stage, num_ranks=3, timeout_s=0.1, is_aborted=lambda: False)
    with pytest.raises(commit.GivenUpError):
        commit.wait_for_reports(stage, num_ranks=3, timeout_s=60, is_aborted=lambda: True)


def test_reports_may_come_in_any_order(tmp_path):
    stage = commit.begin(tmp_path / "step_00000001", say=print)
    commit.report(stage, rank=1, files={"b": {}}, rows=[])
    late = threading.Timer(0.1, commit.report, [stage], {"rank": 0, "files": {"a": {}}, "rows": []})
    late.start()
    reports = commit.wait_for_reports(stage, num_ranks=2, timeout_s=10, is_aborted=lambda: False)
    assert [list(report["files"]) for report in reports] == [["a"], ["b"]]


@pytest.mark.parametrize("latest", ["missing", "dangling", "empty file", "directory", "elsewhere"])
def test_whatever_became_of_latest_the_newest_sound_checkpoint_is_found(tmp_path, latest):
    newest = [publish(tmp_path / "checkpoints", step) for step in (1, 2)][-1]
    link = tmp_path / "checkpoints" / "latest"
    link.unlink()
    if latest == "dangling":
        link.symlink_to("step_00000009")
    elif latest == "empty file":
        link.write_bytes(b"")
    elif latest == "directory":
        link.mkdir()
    elif latest == "elsewhere":
        link.symlink_to(tmp_path)
    assert newest_sound_checkpoint(tmp_path / "checkpoints", ALONE) == newest
    assert resolve_checkpoint(tmp_path, key="DIR") == newest
    assert resolve_checkpoint(tmp_path / "checkpoints", key="DIR") == newest


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_anew(tmp_path):
    assert newest_sound_checkpoint(tmp_path, ALONE) is None
    for step in (1, 2):
        (publish(tmp_path, step) / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no sound checkpoint, 2 are damaged"):
        newest_sound_checkpoint(tmp_path, ALONE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no checkpoint"),
        ("{", "is not JSON"),
        (json.dumps({"architectures": ["LlamaForCausalLM"]}), "is not one that mai1 trains"),
    ],
)
def test_a_foreign_directory_is_refused_by_name(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_model(resolve_checkpoint(tmp_path, key="checkpoint"))
    assert str(tmp_path) in str(caught.value)


def test_verification_names_a_missing_file(tmp_path):
    directory = publish(tmp_path, 1)
    (directory / "config.json").unlink()
    assert verify(directory, ALONE) == ["config.json is missing"]
    shutil.rmtree(directory)
    assert "has no manifest.json" in verify(directory, ALONE)[0]
