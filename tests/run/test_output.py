"""Where commands write: said before the work where they cannot, one at a time, and one line for what the system refuses."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from mai1.run.cli import MAX_MESSAGE, main
from mai1.run.output import check_new_directory, check_output, sole_writer


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path: Path):
    (tmp_path / "file").touch()
    for place, why in (("nowhere/a.json", "No such file"), ("file/a.json", "Not a directory"), (".", "Is a directory")):
        with pytest.raises(ValueError, match=rf"output=.* cannot be written \({why}.*\): choose another place"):
            check_output(tmp_path / place, key="output")
    check_output(tmp_path / "file", key="output")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_read_is_never_the_place_of_the_result(tmp_path: Path):
    (tmp_path / "talks.jsonl").write_text("{}")
    (tmp_path / "link.jsonl").symlink_to("talks.jsonl")
    for place in ("talks.jsonl", "link.jsonl", "../" + tmp_path.name + "/talks.jsonl"):
        with pytest.raises(ValueError, match=r"output=.* is a file that is read, and would be lost: choose another"):
            check_output(tmp_path / place, key="output", inputs=[tmp_path / "gone", tmp_path / "talks.jsonl"])
    check_output(tmp_path / "other.jsonl", key="output", inputs=[tmp_path / "talks.jsonl"])
    assert (tmp_path / "talks.jsonl").read_text() == "{}"


def test_a_new_directory_is_nowhere_yet_or_empty(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("empty", "new"):
        check_new_directory(tmp_path / name, key="output")
    for name, why in (("file", "is no directory"), ("dangling", "is no directory"), ("full", "holds other things")):
        with pytest.raises(ValueError, match=f"output=.*{name} {why}.*: choose another directory"):
            check_new_directory(tmp_path / name, key="output")


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.EROFS, "allow it or choose another place"), (errno.EACCES, "allow it"), (errno.ENOSPC, "free some space")],
)
def test_a_file_that_the_system_refuses_is_one_line(tmp_path: Path, monkeypatch, capfd, number: int, mend: str):
    def refuse(arguments: list[str]) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr("mai1.run.lint.main", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["lint"])
    said = capfd.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert os.strerror(number) in said and str(tmp_path / "x") in said and mend in said


def test_an_error_of_the_system_that_names_no_file_is_a_crash(monkeypatch):
    def fail(arguments: list[str]) -> None:
        raise OSError(errno.EACCES, "of some socket")

    monkeypatch.setattr("mai1.run.lint.main", fail)
    with pytest.raises(OSError, match="of some socket"):
        main(["lint"])


def test_a_message_is_bounded_whatever_a_file_puts_into_it(monkeypatch, capfd):
    def refuse(arguments: list[str]) -> None:
        raise ValueError("first " + "x" * 10**6 + " last")

    monkeypatch.setattr("mai1.run.lint.main", refuse)
    with pytest.raises(SystemExit):
        main(["lint"])
    said = capfd.readouterr().err
    assert len(said) < MAX_MESSAGE + 100 and "first x" in said and said.endswith("x last\n")


def hold(output: Path, ends: multiprocessing.Event, is_held: multiprocessing.Event) -> None:
    with sole_writer(output, key="output"):
        is_held.set()
        ends.wait()


def test_a_directory_is_written_by_one_process_at_a_time(tmp_path: Path):
    context = multiprocessing.get_context("forkserver")
    ends, is_held = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "new" / "out", ends, is_held))
    other.start()
    is_held.wait()
    with (
        pytest.raises(ValueError, match=r"output=.*out is being written by another process: wait for it"),
        sole_writer(tmp_path / "new" / "out", key="output"),
    ):
        pass
    ends.set()
    other.join()
    with sole_writer(tmp_path / "new" / "out", key="output"):
        pass
    assert list((tmp_path / "new").iterdir()) == []


def test_a_writer_that_was_killed_keeps_nobody_out(tmp_path: Path):
    (tmp_path / ".out.lock").touch()
    with sole_writer(tmp_path / "out", key="output"):
        assert (tmp_path / ".out.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / ".out.lock").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"), sole_writer(tmp_path / "out", key="output"):
        pass
    assert (tmp_path / "precious").read_text() == "keep"
