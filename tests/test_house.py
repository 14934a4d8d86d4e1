"""The house rules of docs/design.md, read off the source: floors, one room per heavy dependency, no way to run foreign code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ALLOWED = {  # room -> rooms of mai1 it may import
    "dist": {},
    "given_files": {},
    "tokenizer": {"given_files"},
    "persona": {},
    "data": {"dist"},
    "model": {},
    "optim": {},
    "loss": {"model", "data"},
    "objective": {"loss", "data", "model"},
    "engine": {"optim", "dist", "model"},
    "checkpoint": {"engine", "model", "dist", "given_files"},
    "report": {},
    "watch": {"dist"},
    "train": {"loss", "objective", "data", "engine", "checkpoint", "dist", "evaluate", "model", "optim", "watch"},
    "evaluate": {"objective", "loss", "data", "generate", "model", "tokenizer", "dist"},
    "generate": {"model", "tokenizer"},
    "export": {"checkpoint", "model", "tokenizer"},
    "growth": {"checkpoint", "model", "given_files"},
    "arena": {"report", "generate", "persona"},
    "plan": {"model", "optim", "engine"},
    "launch": {},
    "preflight": {"dist"},
    "status": {"report"},
    "run": {"*"},
}
"""Floors as in the design. What a room may import may also be named where its results are handled: evaluate names models
and tokenizers because generate hands them over, train those of loss and engine, engine the model it drives."""

HOMES = {  # heavy dependency -> where alone it is imported
    "sentencepiece": ["mai1/tokenizer"],
    "tokenizers": ["mai1/tokenizer"],
    "tiktoken": ["mai1/tokenizer"],
    "gigatoken": ["mai1/tokenizer"],
    "jinja2": ["mai1/tokenizer"],
    "deepspeed": ["mai1/engine"],
    "transformers": ["mai1/export"],
    "gguf": ["mai1/export"],
    "wandb": ["mai1/train"],
    "hydra": ["mai1/run/compose.py"],
    "omegaconf": ["mai1/run/compose.py"],
    "datasets": ["data_prep"],
    "pyarrow": ["data_prep", "mai1/report/metrics_lines.py"],
    "fasttext": ["data_prep/stages/language.py"],
    "ftfy": ["data_prep/stages/repair.py"],
    "resiliparse": ["data_prep/stages/extraction.py"],
    "trafilatura": ["data_prep/stages/extraction.py"],
    "fastwarc": ["data_prep/reading/archives.py"],
    "ray": ["data_prep/engine/ray_engine.py", "mai1/launch/ray_job.py"],
    "xxhash": ["data_prep"],
    "lm_eval": ["mai1/evaluate/harness"],
    "openai": ["mai1/arena/judges.py"],
    "triton": ["mai1/model/moe/triton_kernels.py"],
    "data_prep": ["mai1/run/prepare.py", "data_prep"],
}
HEAVY_ITSELF = "mai1.model.moe.triton_kernels"
"""Of ours, because its functions are in the language of a heavy dependency."""
FORMATS = ("mai1.data.shards", "mai1.data.conversation_shapes", "mai1.data.instructions", "mai1.persona")
"""What data_prep shares with mai1: the shards it writes, the conversations it reads, the lint of what they say."""

COLLECTIVE_HOMES = (
    "mai1/dist.py",
    "mai1/engine/",
    "mai1/checkpoint/",
    "mai1/model/moe/dispatch.py",
    "mai1/model/sequence_parallel.py",
    "mai1/preflight/links.py",
)
COLLECTIVES = ("all_", "reduce", "broadcast", "barrier", "gather", "scatter", "send", "recv", "isend", "irecv")
PICKLING = ("all_gather_object", "gather_object", "broadcast_object_list", "scatter_object_list", "send_object_list")
"""Collectives that unpickle what another rank sent."""
FOREIGN_CODE = ("pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "runpy", "pty")
HTTP = ("requests", "httpx", "aiohttp", "urllib.request", "urllib3", "http", "ftplib", "huggingface_hub", "boto3")
"""Nothing here fetches anything: what a person wants from a network, `datasets` fetches for prepare and wandb sends."""
HTTP_HOMES = {"http.server": "mai1/arena/web.py"}
"""Where a person judges in the browser, the standard library's server answers this machine alone."""
RUNS_CODE = (
    *("eval", "exec", "compile", "__import__", "importlib.reload", "pandas.read_pickle", "hydra.utils"),
    *("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "subprocess.getoutput"),
    *("torch.load", "torch.save", "torch.jit.load", "torch.hub", "torch.package", "torch.utils.cpp_extension"),
    *("torch.distributed.checkpoint", "yaml.load", "yaml.full_load", "yaml.unsafe_load"),
    *("subprocess.getstatusoutput", "tempfile.mktemp", "shutil.unpack_archive"),
)
"""Beginnings of what runs code from a file, or follows a name that somebody else can take."""
METHODS = (
    *("extractall", "instantiate", "get_class", "get_method"),
    *("load_checkpoint", "save_checkpoint", "load_universal_checkpoint", "get_fp32_state_dict_from_zero_checkpoint"),
)
"""Methods of any object: archives, Hydra, and DeepSpeed's own checkpoints, which are pickles."""
ONLY_FALSE = ("trust_remote_code", "shell", "allow_pickle")

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


def aliases_of(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `np` for numpy, `run` for subprocess.run."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_under(name: str, roots: tuple[str, ...]) -> bool:
    """`os.execv` is under `os.exec`, `torch.hub.load` under `torch.hub`, but `evaluate` is not under `eval`."""
    return any(name == root or name.startswith(f"{root}.") or ("." in root and name.startswith(root)) for root in roots)


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


def test_data_prep_knows_only_the_tokenizer_the_shard_format_and_the_shapes_of_conversations():
    wrong = [
        f"{path} imports {name}"
        for path, tree in TREES.items()
        if path.parts[0] == "data_prep"
        for name, _ in imports_of(tree)
        if name.startswith("mai1") and not name.startswith(("mai1.tokenizer", *FORMATS))
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
            is_heavy = name.split(".")[0] in HOMES or name == HEAVY_ITSELF
            if is_inner and not is_command and not is_heavy:
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
        aliases = aliases_of(tree)
        homes = tuple(name for name, home in HTTP_HOMES.items() if home == str(path))
        foreign = [name for name, _ in imports_of(tree) if is_under(name, FOREIGN_CODE + HTTP)]
        wrong += [f"{path} imports {name}" for name in foreign if not is_under(name, homes)]
        for written, call in calls_of(tree):
            first, dot, rest = written.partition(".")
            name = aliases.get(first, first) + dot + rest
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            options = {keyword.arg: getattr(keyword.value, "value", ...) for keyword in call.keywords}
            if is_under(name, RUNS_CODE) or method in PICKLING + METHODS or name.rpartition(".")[2] in PICKLING:
                wrong.append(f"{path} calls {name or method}")
            if name == "numpy.load" and options.get("allow_pickle", True) is not False:
                wrong.append(f"{path} calls numpy.load without allow_pickle=False")
            wrong += [f"{path} passes {key} to {name}" for key in ONLY_FALSE if options.get(key, False) is not False]
    assert not wrong


def test_no_configuration_names_what_to_call():
    assert not [str(path) for path in Path("configs").rglob("*") if path.is_file() and "_target_" in path.read_text()]


PLANTED = {
    "from mai1.run import cli": test_rooms_import_only_rooms_below,
    "from . import batch": test_imports_are_absolute_and_in_functions_only_for_what_is_heavy,
    "def f():\n    import mai1.dist": test_imports_are_absolute_and_in_functions_only_for_what_is_heavy,
    "import torch.distributed as dist\ndist.all_reduce(x)": test_collectives_stand_where_every_rank_can_be_seen_to_reach_them,
    "from torch.distributed import barrier": test_collectives_stand_where_every_rank_can_be_seen_to_reach_them,
    "x = 1": test_files_are_named_for_what_they_hold_and_say_it_first,
}


PLANTED_FOREIGN = (
    "import pickle",
    "import dill as d",
    "from marshal import loads",
    "import torch\ntorch.load(x)",
    "from torch import load as f\nf(x)",
    "import torch\ntorch.hub.load(x)",
    "import torch.utils.cpp_extension as e\ne.load_inline(x)",
    "import torch.distributed.checkpoint as dcp\ndcp.load(x)",
    "import os\nos.system(x)",
    "from os import popen\npopen(x)",
    "import os\nos.execvp(x, y)",
    "import subprocess\nsubprocess.run(x, shell=True)",
    "import subprocess\nsubprocess.run(x, shell=is_shell)",
    "import subprocess\nsubprocess.getoutput(x)",
    "eval(x)",
    "exec(x)",
    "compile(x, y, z)",
    "__import__(x)",
    "import yaml\nyaml.load(x)",
    "import yaml\nyaml.unsafe_load(x)",
    "import numpy as np\nnp.load(x)",
    "import numpy as np\nnp.load(x, allow_pickle=True)",
    "import numpy as np\nnp.load(x, allow_pickle=flag)",
    "load(x, trust_remote_code=True)",
    "import dist\ndist.gather_object(x)",
    "from torch.distributed import broadcast_object_list\nbroadcast_object_list(x)",
    "import hydra\nhydra.utils.instantiate(x)",
    "from hydra.utils import instantiate as make\nmake(x)",
    "import zipfile\nzipfile.ZipFile(x).extractall()",
    "import shutil\nshutil.unpack_archive(x)",
    "import tempfile\ntempfile.mktemp()",
    "import requests",
    "from urllib.request import urlopen",
    "from huggingface_hub import snapshot_download",
    "self.deepspeed.load_checkpoint(x)",
)
PLANTED |= dict.fromkeys(PLANTED_FOREIGN, test_nothing_unpickles_evaluates_or_runs_foreign_code)


@pytest.mark.parametrize("code", PLANTED)
def test_each_rule_notices_what_breaks_it(code: str, monkeypatch: pytest.MonkeyPatch):
    for path in list(TREES):  # the rules hold for these, as the tests above say
        monkeypatch.delitem(TREES, path)
    monkeypatch.setitem(TREES, Path("mai1/data/planted.py"), ast.parse(code))
    with pytest.raises(AssertionError, match=r"mai1/data/planted\.py"):
        PLANTED[code]()
