"""The house rules of docs/design.md, read off the source: floors, one room per heavy dependency, no way to run foreign code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ALLOWED = {  # room -> rooms of mai1 it may import
    "dist": {},
    "tokenizer": {},
    "data": {"dist"},
    "model": {},
    "optim": {},
    "loss": {"model", "data"},
    "engine": {"optim", "dist", "model"},
    "checkpoint": {"engine", "model", "dist"},
    "report": {},
    "train": {"loss", "data", "engine", "checkpoint", "dist", "evaluate", "model", "optim"},
    "evaluate": {"loss", "data", "generate", "model", "tokenizer", "dist"},
    "generate": {"model", "tokenizer"},
    "export": {"checkpoint", "model", "tokenizer"},
    "run": {"*"},
}
"""Floors as in the design. What a room may import may also be named where its results are handled: evaluate names models
and tokenizers because generate hands them over, train those of loss and engine, engine the model it drives."""

HOMES = {  # heavy dependency -> where alone it is imported
    "sentencepiece": ["mai1/tokenizer"],
    "deepspeed": ["mai1/engine"],
    "transformers": ["mai1/export"],
    "wandb": ["mai1/train"],
    "hydra": ["mai1/run/compose.py"],
    "omegaconf": ["mai1/run/compose.py"],
    "datasets": ["data_prep"],
    "pyarrow": ["data_prep"],
    "data_prep": ["mai1/run/prepare.py", "data_prep"],
}
COLLECTIVE_HOMES = ("mai1/dist.py", "mai1/engine/", "mai1/checkpoint/", "mai1/model/moe/dispatch.py")
COLLECTIVES = ("all_", "reduce", "broadcast", "barrier", "gather", "scatter", "send", "recv", "isend", "irecv")
PICKLING = ("all_gather_object", "gather_object", "broadcast_object_list", "scatter_object_list", "send_object_list")
FOREIGN_CODE = ("pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle")

SOURCES = sorted(Path("mai1").rglob("*.py")) + sorted(Path("data_prep").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def imports_of(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Every dotted name a file imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}" if node.module else alias.name, node) for alias in node.names)


def room_of(dotted: str) -> str | None:
    """`mai1.data.batch.Row` is of the room `data`; mai1 itself is none."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "mai1" and len(parts) > 1 and parts[1] in ALLOWED else None


def dotted_name(node: ast.expr) -> str:
    """`a.b.c` of an expression; empty for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def calls_of(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call by its dotted name."""
    return ((dotted_name(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_there_is_something_to_check():
    assert len(SOURCES) > 60 and {path.parts[0] for path in SOURCES} == {"mai1", "data_prep"}
    rooms = {path.parts[1].removesuffix(".py") for path in SOURCES if path.parts[0] == "mai1"}
    assert rooms - {"__init__", "__main__"} == set(ALLOWED)


def test_allowed_imports_make_no_circle():
    def below(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, f"{' -> '.join((*above, room))}"
        for lower in ALLOWED[room]:
            if lower != "*":
                below(lower, (*above, room))

    for room in ALLOWED:
        below(room, ())


def test_rooms_import_only_rooms_below():
    wrong = []
    for path, tree in TREES.items():
        room = room_of(".".join(path.with_suffix("").parts))
        if room is None or "*" in ALLOWED[room]:
            continue
        used = {room_of(name) for name, _ in imports_of(tree)} - {None, room}
        wrong += [f"{path} imports mai1.{lower}" for lower in used - set(ALLOWED[room])]
    assert not wrong


def test_data_prep_knows_only_the_tokenizer_and_the_shard_format():
    wrong = [
        f"{path} imports {name}"
        for path, tree in TREES.items()
        if path.parts[0] == "data_prep"
        for name, _ in imports_of(tree)
        if name.startswith("mai1") and not name.startswith(("mai1.tokenizer", "mai1.data.shards"))
    ]
    assert not wrong


@pytest.mark.parametrize("dependency", HOMES)
def test_a_heavy_dependency_lives_in_one_room(dependency: str):
    found = {path for path, tree in TREES.items() for name, _ in imports_of(tree) if name.split(".")[0] == dependency}
    assert not [str(path) for path in found if not str(path).startswith(tuple(HOMES[dependency]))]
    assert found, f"nothing imports {dependency}: remove it from the list"


def test_imports_are_absolute_and_in_functions_only_for_what_is_heavy():
    wrong = []
    for path, tree in TREES.items():
        wrong += [
            f"{path}: relative import"
            for _, node in imports_of(tree)
            if isinstance(node, ast.ImportFrom) and node.level
        ]
        wrong += [f"{path} imports *" for name, _ in imports_of(tree) if name.endswith(".*")]
        is_command = path.parts[:2] == ("mai1", "run")
        for name, node in imports_of(tree):
            is_inner = node not in tree.body
            if is_inner and not is_command and name.split(".")[0] not in HOMES:
                wrong.append(f"{path} imports {name} inside a function")
        wrong += [f"{path}: TYPE_CHECKING" for node in ast.walk(tree) if dotted_name(node).endswith("TYPE_CHECKING")]
    assert not wrong


def test_files_are_named_for_what_they_hold_and_say_it_first():
    vague = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [str(path) for path in SOURCES if path.name in vague]
    assert not [str(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]


def test_collectives_stand_where_every_rank_can_be_seen_to_reach_them():
    wrong = []
    for path, tree in TREES.items():
        if str(path).startswith(COLLECTIVE_HOMES):
            continue
        for name, _ in calls_of(tree):
            owner, _, function = name.rpartition(".")
            if owner in ("dist", "torch.distributed", "deepspeed.comm") and function.startswith(COLLECTIVES):
                wrong.append(f"{path} calls {name}")
        wrong += [
            f"{path} imports {name}"
            for name, _ in imports_of(tree)
            if name.startswith("torch.distributed.") and name.split(".")[2].startswith(COLLECTIVES)
        ]
    assert not wrong


def test_nothing_unpickles_evaluates_or_runs_foreign_code():
    wrong = []
    for path, tree in TREES.items():
        wrong += [f"{path} imports {name}" for name, _ in imports_of(tree) if name.split(".")[0] in FOREIGN_CODE]
        for name, call in calls_of(tree):
            options = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
            if name in ("eval", "exec", "compile", "__import__", "torch.load", "torch.save", "os.system", "yaml.load"):
                wrong.append(f"{path} calls {name}")
            if name.rpartition(".")[2] in PICKLING or name.endswith("instantiate"):
                wrong.append(f"{path} calls {name}")
            if options.get("trust_remote_code") or options.get("shell") or options.get("allow_pickle"):
                wrong.append(f"{path} passes {options} to {name}")
    wrong += [str(path) for path in Path("configs").rglob("*") if path.is_file() and "_target_" in path.read_text()]
    assert not wrong


PLANTED = {
    "from mai1.run import cli": test_rooms_import_only_rooms_below,
    "from . import batch": test_imports_are_absolute_and_in_functions_only_for_what_is_heavy,
    "def f():\n    import mai1.dist": test_imports_are_absolute_and_in_functions_only_for_what_is_heavy,
    "import torch.distributed as dist\ndist.all_reduce(x)": test_collectives_stand_where_every_rank_can_be_seen_to_reach_them,
    "from torch.distributed import barrier": test_collectives_stand_where_every_rank_can_be_seen_to_reach_them,
    "import torch\ntorch.load(x)": test_nothing_unpickles_evaluates_or_runs_foreign_code,
    "import dist\ndist.gather_object(x)": test_nothing_unpickles_evaluates_or_runs_foreign_code,
    "load(x, trust_remote_code=True)": test_nothing_unpickles_evaluates_or_runs_foreign_code,
    "import pickle": test_nothing_unpickles_evaluates_or_runs_foreign_code,
    "x = 1": test_files_are_named_for_what_they_hold_and_say_it_first,
}


@pytest.mark.parametrize("code", PLANTED)
def test_each_rule_notices_what_breaks_it(code: str, monkeypatch: pytest.MonkeyPatch):
    PLANTED[code]()
    monkeypatch.setitem(TREES, Path("mai1/data/planted.py"), ast.parse(code))
    with pytest.raises(AssertionError, match=r"mai1/data/planted\.py"):
        PLANTED[code]()
