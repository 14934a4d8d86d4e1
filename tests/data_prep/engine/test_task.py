import ast
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from data_prep.engine import code_version as code
from data_prep.engine.task import Task, canonical_json, read_task, task_line
from tests.support.engine_tasks import count

REPOSITORY = Path(__file__).parents[3]
HARMLESS = {"tqdm", "ray", "fsspec"}
"""Imported, but nothing of theirs gets into a file."""


def test_a_key_is_of_kind_arguments_and_code(monkeypatch: pytest.MonkeyPatch):
    task = Task("curate", {"slice": 3, "source": "books"})
    assert task.key == Task("curate", {"source": "books", "slice": 3}, weight=9).key
    assert task.key != Task("encode", {"slice": 3, "source": "books"}).key
    assert task.key != Task("curate", {"slice": 4, "source": "books"}).key
    monkeypatch.setattr("data_prep.engine.task.code_version", lambda: "another")
    assert task.key != Task("curate", {"slice": 3, "source": "books"}).key


@pytest.mark.parametrize("arguments", [{"a": (1, 2)}, {1: 2}, {"a": {"b": {3: 4}}}])
def test_arguments_are_plain_json(arguments: dict):
    with pytest.raises(AssertionError, match="plain JSON"):
        Task("curate", arguments)


def test_arguments_without_a_json_text_are_refused():
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})
    assert canonical_json({"b": "\udcff", "a": 1}) == '{"a":1,"b":"\\udcff"}'


def test_a_task_survives_its_line():
    task = Task("curate", {"path": "a\nb\udcff", "list": [1, 2.5, None, True]}, weight=7)
    assert "\n" not in task_line(task)
    assert read_task(task_line(task)) == task


def test_a_worker_with_other_code_refuses(monkeypatch: pytest.MonkeyPatch):
    line = task_line(Task("curate", {"slice": 3}))
    monkeypatch.setattr("data_prep.engine.task.code_version", lambda: "another")
    with pytest.raises(ValueError, match="^task curate [0-9a-f]{12} was made by another version .* start again$"):
        read_task(line)


def test_a_long_task_is_named_shortly():
    assert str(Task("curate", {"slice": 3, "name": "x"})).endswith(" (slice=3, name='x')")
    assert len(str(Task("curate", {"paths": ["x" * 50] * 50}))) < 200


def test_the_code_version_follows_sources_word_lists_and_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data_prep" / "stages" / "__pycache__").mkdir(parents=True)
    (tmp_path / "data_prep" / "stages" / "a.py").write_text("x = 1\n")

    def version() -> str:
        code.code_version.cache_clear()
        return code.code_version(tmp_path)

    seen = [version()]
    (tmp_path / "data_prep" / "stages" / "__pycache__" / "a.pyc").write_bytes(b"made")
    assert version() == seen[0]
    for name, text in (("a.py", "x = 2\n"), ("words.txt", "bad\n"), ("b.py", "x = 2\n")):
        (tmp_path / "data_prep" / "stages" / name).write_text(text)
        seen.append(version())
    (tmp_path / "data_prep" / "stages" / "b.py").rename(tmp_path / "data_prep" / "b.py")
    seen.append(version())
    monkeypatch.setattr(code, "_version_of", lambda name: "99.0")
    seen.append(version())
    assert len(set(seen)) == len(seen) == 6
    code.code_version.cache_clear()


def test_without_sources_there_is_no_code_version(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no sources of data_prep: install mai1 with its sources"):
        code.code_version(tmp_path)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached_from_data_prep() -> tuple[set[Path], set[str]]:
    """Our files that a task may import, directly or not, and everything that they import."""
    waiting, files, names = set((REPOSITORY / "data_prep").rglob("*.py")), set(), set()
    while waiting:
        files.add(path := waiting.pop())
        names |= (found := imports_of(path))
        ours = {REPOSITORY / f"{name.replace('.', '/')}.py" for name in found if name.startswith("mai1.")}
        waiting |= {path for path in ours - files if path.exists()}
    return files, names


def test_every_source_and_package_that_a_task_imports_counts():
    files, names = reached_from_data_prep()
    hashed = set(code._source_files(REPOSITORY))
    assert len(files) > 20 and not files - hashed, f"add to data_prep.engine.code_version.SOURCES: {files - hashed}"
    foreign = {name.split(".")[0] for name in names} - {"mai1", "data_prep", *sys.stdlib_module_names, *HARMLESS}
    distributions = packages_distributions()
    known = {name for name in foreign for given in distributions.get(name, [name]) if given.lower() in code.PACKAGES}
    missing = foreign - known
    assert not missing, f"add to data_prep.engine.code_version.PACKAGES: {missing}"


def test_changed_code_is_done_again_and_unchanged_is_not(tmp_path: Path):
    checkout, work = tmp_path / "checkout", tmp_path / "work"
    work.mkdir()
    for name in ("data_prep", "mai1/data", "mai1/tokenizer", "tests/support"):
        shutil.copytree(REPOSITORY / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "tests.support.engine_run", str(work), "4", "0"]
    for expected in (4, 4):
        subprocess.run(command, cwd=checkout, check=True, timeout=60, capture_output=True)
        assert count(work / "side") == expected
    with open(checkout / "data_prep" / "__init__.py", "a") as file:
        file.write("# changed\n")
    subprocess.run(command, cwd=checkout, check=True, timeout=60, capture_output=True)
    assert count(work / "side") == 8
