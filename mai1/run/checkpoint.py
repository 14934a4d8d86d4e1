"""`mai1 checkpoint show|verify|average|prune|prove DIR`: look at checkpoints, check them, and make one of several."""

import json
import sys
from pathlib import Path

USAGE = """usage: mai1 checkpoint show DIR [json=true]
           step, tokens, what wrote it, sizes, held-out loss and where in the data it stands
       mai1 checkpoint verify DIR
           compare every file with the size and SHA-256 it was saved with; exit code 2 names what is damaged
       mai1 checkpoint average DIR [DIR ...] output=DIR [last=5]
           the mean of several checkpoints' weights as a new Hugging Face model: of those named, or of a run's last ones.
           Often better than the last alone (model soups, arXiv 2203.05482; LAWA, arXiv 2209.14981). It has no optimizer
           state: use it with generate, evaluate or checkpoint.init_from
       mai1 checkpoint prune DIR keep=3 [keep_every=0] [keep_best=0] [delete=true]
           say which checkpoints of a run would go and how many bytes that frees; with delete=true, delete them
       mai1 checkpoint prove DIR [base=DIR]
           compare its files with their SHA-256, and load it in transformers: logits, routing, token ids and chat must agree.
           Of adapters, every weight must be that of the model they began with, or it and their product, and so must the
           logits: base, by default the run's checkpoint.init_from

DIR is a run, its checkpoints folder, or one checkpoint."""

OPTIONS = {
    "show": {"json": "false"},
    "verify": {},
    "average": {"output": "", "last": "5"},
    "prune": {"keep": "", "keep_every": "0", "keep_best": "0", "delete": "false"},
    "prove": {"base": ""},
}
"""key=value options of each action and their defaults."""


def main(arguments: list[str]) -> None:
    """Run one action."""
    actions = {"show": show, "verify": verify, "average": average, "prune": prune, "prove": prove}
    if "--help" in arguments or not arguments:
        print(USAGE)
        return
    action, *rest = arguments
    if action not in actions:
        raise ValueError(f"checkpoint {action}: give an action ({', '.join(actions)}) and a directory")
    directories = [Path(argument) for argument in rest if "=" not in argument or Path(argument).exists()]
    given = dict(argument.split("=", 1) for argument in rest if Path(argument) not in directories)
    for key in given:
        if key not in OPTIONS[action]:
            raise ValueError(f"checkpoint {action}: {key} is no option: use {', '.join(OPTIONS[action]) or 'none'}")
    if not directories or (len(directories) > 1 and action != "average"):
        raise ValueError(
            f"checkpoint {action} {' '.join(rest)}: give {'one directory' if directories else 'a directory'}"
        )
    actions[action](directories, OPTIONS[action] | given)


def show(directories: list[Path], options: dict[str, str]) -> None:
    """Print what a checkpoint holds."""
    from mai1.checkpoint.summary import lines_of, summary_of

    summary = summary_of(_checkpoint(directories[0]))
    print(json.dumps(summary, indent=1) if _is_true(options, "json") else "\n".join(lines_of(summary)))


def verify(directories: list[Path], options: dict[str, str]) -> None:
    """Check every file; ValueError names the damaged ones."""
    from tqdm import tqdm

    from mai1.checkpoint.manifest import read_manifest
    from mai1.checkpoint.verify import problems_in

    directory = _checkpoint(directories[0])
    manifest = read_manifest(directory)
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    with tqdm(total=total, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        problems = problems_in(directory, manifest, on_bytes=bar.update)
    if problems:
        raise ValueError(f"{directory} is damaged: {'; '.join(problems)}: use another checkpoint")
    print(f"{directory} is sound: {len(manifest['files'])} files, {total:,} bytes as saved")


def average(directories: list[Path], options: dict[str, str]) -> None:
    """Write the mean of some checkpoints."""
    from mai1.checkpoint.average import average_checkpoints
    from mai1.run.output import sole_writer

    if not options["output"]:
        raise ValueError("checkpoint average: output= is missing: give it the directory to write")
    if len(directories) > 1:
        chosen = [_checkpoint(directory) for directory in directories]
    else:
        _, found = _run_of(directories[0])
        chosen = found[: _count(options, "last")][::-1]
    with sole_writer(Path(options["output"]), key="output"):
        average_checkpoints(chosen, Path(options["output"]))
    print(f"{options['output']}: mean of {', '.join(path.name for path in chosen)}")


def prune(directories: list[Path], options: dict[str, str]) -> None:
    """Say, and with delete=true do, what a retention would delete."""
    from mai1.checkpoint import commit
    from mai1.checkpoint.manifest import read_manifest
    from mai1.checkpoint.retention import Retention, to_delete
    from mai1.checkpoint.verify import problems_in

    folder, found = _run_of(directories[0])
    retention = Retention(*(_count(options, key) for key in ("keep", "keep_every", "keep_best")))
    newest = next((path for path in found if not problems_in(path, read_manifest(path))), None)
    if newest is None:
        raise ValueError(f"{folder} has no sound checkpoint: nothing is deleted")
    going, freed = to_delete(folder, retention, newest=newest), 0
    for path in going:
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if _is_true(options, "delete"):
            commit.discard(path)
        print(f"{path}  {size:,} bytes")
        freed += size
    is_done = "deleted" if _is_true(options, "delete") else "would be deleted; to do it, add delete=true"
    print(f"{len(going)} of {len(found)} checkpoints, {freed:,} bytes, {is_done}")


def prove(directories: list[Path], options: dict[str, str]) -> None:
    """Compare with transformers and keep the result beside the run; ValueError when they disagree."""
    from mai1.checkpoint.manifest import MANIFEST, read_manifest
    from mai1.checkpoint.verify import problems_in
    from mai1.export.parity import prove_parity
    from mai1.run.directory import write_atomically

    directory = _checkpoint(directories[0])
    manifest = read_manifest(directory) if (directory / MANIFEST).is_file() else {}
    if manifest and (problems := problems_in(directory, manifest)):
        raise ValueError(f"{directory} is damaged: {'; '.join(problems)}: use another checkpoint")
    result = prove_parity(directory)
    if "lora" in manifest:
        result |= _prove_adapters(directory, options["base"])
    elif options["base"]:
        raise ValueError(f"base={options['base']}: {directory} has no adapters to compare with it: leave base out")
    run = directory.parent.parent
    if (run / "run.json").is_file():
        write_atomically(run / "parity.json", json.dumps(result, indent=1))
    same = "token ids and chat" if result.get("chat_identical") else "token ids"
    print(
        f"{directory} is a {result['architecture']}: logits differ by at most {result['max_logit_difference']:.1e}, "
        f"the experts of {result['routing_agreement']:.2%} of tokens and layers are the same, {same} are identical"
    )


def _prove_adapters(directory: Path, given: str) -> dict:
    """That merged weights are those of the base and the adapters' products; what the proof says of it."""
    from mai1.checkpoint.checkpoint import read_state
    from mai1.checkpoint.inference import resolve_checkpoint
    from mai1.export.parity import prove_adapters

    run = read_state(directory).run
    settings = run.get("checkpoint") if isinstance(run, dict) else None
    began_with = given or str(settings.get("init_from") if isinstance(settings, dict) else "")
    if not given and not Path(began_with).is_dir():
        print(f"adapters were not compared with what they began with, as {began_with} is gone: give base=DIR")
        return {}
    base = resolve_checkpoint(Path(began_with), key="base")
    proof = prove_adapters(directory, base)
    whole = f", {proof['trained_whole']} were trained whole" if proof["trained_whole"] else ""
    print(
        f"{proof['adapted']} tensors are those of {base} with their adapters, within {proof['max_weight_difference']:.1e}; "
        f"{proof['unchanged']} are the same to the bit{whole}; logits with adapters beside them differ by at most "
        f"{proof['max_logit_difference']:.1e}"
    )
    return {"adapters": proof}


def _checkpoint(directory: Path) -> Path:
    from mai1.checkpoint.inference import resolve_checkpoint

    return resolve_checkpoint(directory, key="DIR")


def _run_of(directory: Path) -> tuple[Path, list[Path]]:
    """The folder of a run's checkpoints, and those, newest first."""
    from mai1.checkpoint.verify import checkpoints_in

    for folder in (directory / "checkpoints", directory):
        if found := checkpoints_in(folder):
            return folder, found
    raise ValueError(f"DIR={directory} holds no checkpoints: use runs/NAME")


def _count(options: dict[str, str], key: str) -> int:
    if not options[key].isdigit():
        raise ValueError(f"{key}={options[key]} is no number of checkpoints: use {key}=3, for example")
    return int(options[key])


def _is_true(options: dict[str, str], key: str) -> bool:
    if options[key] not in ("true", "false"):
        raise ValueError(f"{key}={options[key]} must be true or false")
    return options[key] == "true"
