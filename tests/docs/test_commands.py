"""Every command of every page: composed for real, its files and options looked up, or marked with what it needs."""

import re
import shlex
from pathlib import Path

import pytest

from docs.build import NEEDS, ROOT
from docs.reference import has_keys, schema_of
from mai1.engine.support import check_combination
from mai1.run import checkpoint, mixture, tokenizer
from mai1.run.cli import COMMANDS
from mai1.run.compose import compose_config, key_names
from mai1.run.config import PretrainConfig
from tests.docs.blocks import PAGES, Block, blocks_of, commands_of, exists, spans_of

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
KNOWN_LANGUAGES = {"bash", "console", "python", "text", "yaml", "json", "diff"}
MARKS = {
    "needs": "what a block wants besides a CPU: docs/build.py has the words",
    "tested-by": "the test that runs the block",
    "file": "the block is a file, and commands further down may use it",
    "patch": "the block is a change of a file of mai1",
    "with": "the commands are of mai1 with those changes",
}
FREE_TEXT = {
    "generate": ("prompt", "system"),
    "chat": ("system",),
    "inspect": ("text",),
    "tokenizer": ("input",),
    "launch": ("command",),
}
"""Keys whose values are no grammar of Hydra's."""
OWN_ACTIONS = {"launch": "errors", "plan": "laws"}
"""Actions that take no keys of their command."""
GIVEN = {"sft": "checkpoint.init_from=x", "align": "checkpoint.init_from=x", "import": "checkpoint=x output=y"}
"""Where a page leaves out what must be given, to speak of something else."""
BUILTINS = ("source", "cd", "echo", "export", "cat", "git", "python3")
FILE_ENDINGS = (".md", ".py", ".json", ".yaml", ".jsonl", ".bin", ".idx", ".model", ".html", ".svg", ".sbatch")
KEYED = [command for command in COMMANDS if has_keys(command)]
KEYS = {command: set(key_names(schema_of(command))) for command in KEYED}
ROOTS = {key.partition(".")[0] for keys in KEYS.values() for key in keys if "." in key}
EXTRAS = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))


def problems_of(page: str) -> list[str]:
    """What is wrong with the commands of a page, each with its place."""
    blocks = blocks_of(page)
    made = {block.marks["file"] for block in blocks if "file" in block.marks}
    return [
        f"{block.place}: {' '.join(words)}: {problem}"
        for block in blocks
        if block.language == "bash" and "with" not in block.marks
        for words in commands_of(block)
        if words[-1] not in made
        if (problem := problem_of([word for word in words if not is_made(word, block)], is_marked=is_marked(block)))
    ]


def is_marked(block: Block) -> bool:
    """Whether somebody said what the block needs, or which test runs it."""
    return bool(block.needs) or "tested-by" in block.marks


def is_made(word: str, block: Block) -> bool:
    """Whether an option's file is one that another command of the block writes."""
    group, _, name = word.partition("=")
    return f"output=configs/{group}/{name}.yaml" in block.text


def problem_of(words: list[str], *, is_marked: bool = False) -> str:
    """What is wrong with a command; empty where nothing is."""
    program, rest = words[0], words[1:]
    if "mai1" in words and program != "mai1":  # python -m mai1, torchrun ... -m mai1, deepspeed ... --module mai1
        return problem_of_mai1(words[words.index("mai1") + 1 :], num_ranks=ranks_of(words))
    if program == "mai1":
        return problem_of_mai1(rest)
    scripts = [number for number, word in enumerate(words) if word.startswith("launch/") and "." in word]
    if scripts and not exists(words[scripts[0]]):
        return f"there is no {words[scripts[0]]}"
    if scripts and (commands := [number for number, word in enumerate(words) if word in COMMANDS]):
        return problem_of_mai1(words[commands[0] :], num_ranks=ranks_of(words))
    if program in ("python", "pytest"):
        script = [word for word in words if word not in ("python", "-m", "pytest")]
        return "" if is_marked and "-m" in rest else problem_of_script(script)
    if program == "make":
        return (
            "" if re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE) else f"no target {rest[0]}"
        )
    if program == "pip":
        wanted = re.search(r"mai1\[(.+)\]", words[-1])
        return "" if not wanted or set(wanted[1].split(",")) <= EXTRAS else f"no extra {wanted[1]}"
    if program in BUILTINS or is_marked:
        return ""
    return f"{program} is nothing that can be checked: mark the block with <!-- needs: ... -->"


def ranks_of(words: list[str]) -> int:
    """How many ranks a launcher starts, as far as its words say; 0 where they do not."""
    text = " ".join(words)
    if local := re.search(r"launch/local\.sh (\d+) ", text):
        return int(local[1])
    nodes, each = (
        re.search(pattern, text) for pattern in (r"--n?nodes[= ](\d+)", r"--(?:nproc|gpus)-per-node[= ](\d+)")
    )
    return int(each[1]) * (int(nodes[1]) if nodes else 1) if each else 0


def problem_of_mai1(words: list[str], *, num_ranks: int = 0) -> str:
    """Compose a command's configuration, or look up its actions and options."""
    command, *arguments = words or [""]
    if not command or command.startswith("--") or command == "COMMAND":
        return ""
    if command not in COMMANDS:
        return f"{command} is no command"
    if "--help" in arguments or "..." in arguments:
        arguments = [word for word in arguments if word not in ("--help", "...", "--traceback")]
    actions = {"mixture": mixture.OPTIONS, "tokenizer": tokenizer.OPTIONS | {"train": None}}
    actions |= {"checkpoint": checkpoint.OPTIONS}
    if arguments[:1] == [OWN_ACTIONS.get(command)]:
        return ""
    if command in actions and arguments:
        action, *arguments = arguments
        options = actions[command].get(action, ())
        if action not in actions[command]:
            return f"{command} {action} is no action"
        if options is not None:
            arguments = [word for word in arguments if word.partition("=")[0] not in options]
        if command == "mixture" and action != "fit":
            command = "pretrain"
        elif options is not None:
            return f"no option {arguments[-1]}" if any("=" in word for word in arguments) else ""
    if command not in KEYED:
        return ""
    given = [word for word in arguments if word.partition("=")[0] not in FREE_TEXT.get(command, ())]
    missing = [word for word in GIVEN.get(command, "").split() if word.partition("=")[0] not in " ".join(given)]
    try:
        config = compose_config(command, schema_of(command), [*missing, *given])
        if isinstance(config, PretrainConfig) and (num_ranks or config.launch.ranks):
            check_ranks(config, num_ranks or config.launch.ranks)
        if command == "launch":
            inner = next((word[8:] for word in arguments if word.startswith("command=")), "")
            return problem_of_mai1(shlex.split(inner), num_ranks=config.ranks)
    except ValueError as error:
        return str(error)
    return ""


def check_ranks(config: PretrainConfig, num_ranks: int) -> None:
    """ValueError where so many ranks cannot train with a configuration."""
    check_combination(config.engine)
    config.engine.check_topology(world_size=num_ranks, num_experts=config.model.moe.num_experts)
    config.batch.microbatches_per_step(config.engine.data_parallel(num_ranks))


def problem_of_script(words: list[str]) -> str:
    """Whether a script, module or test exists, and has the options it is given."""
    path = words[0] if "/" in words[0] else words[0].replace(".", "/") + ".py"
    if not exists(path.partition("::")[0]):
        return f"there is no {path}"
    if not path.endswith(".py") or path.startswith("tests/"):
        return ""
    source = source_with_siblings(ROOT / path)
    missing = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
    return f"{path} has no option {', '.join(missing)}" if missing else ""


def source_with_siblings(script: Path) -> str:
    """The text of a script and of the scripts beside it that it imports, whose options it may share."""
    source = script.read_text(encoding="utf-8")
    names = re.findall(r"^from (\w+) import", source, re.MULTILINE)
    beside = [script.with_name(f"{name}.py") for name in names]
    return "\n".join([source, *(path.read_text(encoding="utf-8") for path in beside if path.is_file())])


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_composes_or_says_what_it_needs(page: str):
    problems = problems_of(page)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_running_text_composes(page: str):
    problems = [
        f"{page}:{number}: {span}: {problem}"
        for number, span in spans_of(page)
        if re.match(r"(mai1|python|pytest|launch/\w+\.\w+) [a-z]|make [a-z]+$", span)
        if (problem := problem_of(shlex.split(span.partition(" |")[0]), is_marked=True))
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_command_at_the_head_of_an_option_file_composes(path: Path):
    lines = re.findall(r"^#\s+((?:mai1|torchrun|srun|python) .*?)(?:\s{2,}.*)?$", path.read_text(), re.MULTILINE)
    found = {line: problem_of(shlex.split(line), is_marked=True) for line in lines}
    assert not {line: problem for line, problem in found.items() if problem}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_command_composes(command: str):
    example = shlex.split(COMMANDS[command].rpartition("  ")[2])
    assert not problem_of([word for word in example if "..." not in word])


def test_every_block_says_its_language_and_only_known_marks():
    wrong = [f"{b.place}: {b.language}" for b in BLOCKS if b.language not in KNOWN_LANGUAGES]
    wrong += [f"{b.place}: {need}" for b in BLOCKS for need in b.needs if need not in NEEDS]
    wrong += [f"{b.place}: {mark}" for b in BLOCKS for mark in b.marks if mark not in MARKS]
    assert not wrong


def test_every_test_that_a_page_names_exists():
    named = {(b.place, *b.marks["tested-by"].partition("::")[::2]) for b in BLOCKS if "tested-by" in b.marks}
    assert not [f"{p}: {path}" for p, path, test in named if not exists(path) or f"def {test}" not in text_of(path)]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(ROOT / "tests").rglob("*.py")))
    spans = [(page, number, span) for page in PAGES for number, span in spans_of(page)]
    gone = [
        f"{page}:{number}: {span}"
        for page, number, span in spans
        if re.fullmatch(r"test_\w{6,}", span) and f"def {span}(" not in tests
    ]
    assert not gone


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_key_named_in_running_text_exists(page: str):
    gone = []
    for number, span in spans_of(page):
        name = span.partition("=")[0].removesuffix(".*")
        is_path = re.fullmatch(r"(mai1|data_prep|tests|benchmarks|configs|launch|docs)/[\w./*-]+", span)
        if is_path and not exists(span):
            gone.append(f"{page}:{number}: {span}")
        is_key = re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name) and name.partition(".")[0] in ROOTS
        is_key = is_key and not name.endswith(FILE_ENDINGS)
        if is_key and not any(name in keys for keys in KEYS.values()):
            gone.append(f"{page}:{number}: {span}")
    assert not gone, "\n".join(gone)


STALE = {
    "mai1 pretrain train.stesp=3": "did you mean",
    "mai1 prtrain": "no command",
    "mai1 checkpoint polish runs/first": "no action",
    "mai1 checkpoint show runs/first jsn=true": "no option",
    "python benchmarks/moe_leyer.py": "there is no",
    "python benchmarks/soak.py --restart 3": "no option",
    "launch/locl.sh 2 pretrain": "there is no",
    "launch/local.sh 2 pretrain model=tny": "model=tny",
    "torchrun -m mai1 pretrain modl=tiny": "modl",
    "torchrun --nnodes 4 --nproc-per-node 8 -m mai1 pretrain model=small": "32 data-parallel ranks",
    "mai1 pretrain engine.expert_parallel=3 launch.ranks=3": "expert_parallel=3",
    "make smoek": "no target",
    "pip install mai1[evl]": "no extra",
    "vllm serve here": "needs",
}


@pytest.mark.parametrize("command", STALE)
def test_a_stale_command_is_noticed(command: str):
    problem = problem_of(command.split())
    assert STALE[command] in problem, problem


def test_a_block_is_read_with_its_marks_and_without_comments(tmp_path):
    text = "<!-- needs: gpu -->\n```bash\n# first\nmai1 pretrain \\\n  run.name=a  # why\nA=1 echo x | mai1 chat\n```\n"
    (tmp_path / "page.md").write_text(text)
    (block,) = blocks_of(str(tmp_path / "page.md"))
    assert isinstance(block, Block) and block.needs == ["gpu"] and block.line == 2
    assert commands_of(block) == [["mai1", "pretrain", "run.name=a"], ["A=1", "echo", "x"], ["mai1", "chat"]]
