"""`mai1 mixture plan|sweep|fit`: how often a run would see each source, and which mixture small runs speak for."""

import shlex
import subprocess
import sys
from pathlib import Path

USAGE = """usage: mai1 mixture plan [keys of pretrain]
           how many rows and epochs of each source a run would train on, and whether they suffice
       mai1 mixture sweep count=32 [seed=0] [tokens=0] [max_epochs=4] [temperature=2] [start=false] [keys of pretrain]
           print the commands of small runs on random mixtures; with start=true run them, one after the other. The same command
           again goes on where it stopped. tokens: of the large run the mixture is for; none is drawn that would see a source
           more than max_epochs times in it (0: no limit). Runs are named RUN.NAME-000, ...
       mai1 mixture fit RUN [RUN ...] [target=all] [tokens=0] [max_epochs=4] [temperature=2] [seed=0] [output=FILE]
           fit held-out loss to the weights, say how well that predicts runs left out, and give the best mixture. target: all
           (every held-out token counts once), a source, or several as web=2,code=1. output: a YAML file for `experiment=`

RegMix (arXiv 2407.01492) with the exponential law of arXiv 2403.16952: docs/mixtures.md says how to go about it."""

OPTIONS = {
    "plan": {},
    "sweep": {"count": "32", "seed": "0", "tokens": "0", "max_epochs": "4", "temperature": "2", "start": "false"},
    "fit": {"target": "all", "tokens": "0", "max_epochs": "4", "temperature": "2", "seed": "0", "output": ""},
}
"""key=value options of each action and their defaults."""


def main(arguments: list[str]) -> None:
    """Run one action."""
    actions = {"plan": plan, "sweep": sweep, "fit": fit}
    if "--help" in arguments or not arguments:
        print(USAGE)
        return
    action, *rest = arguments
    if action not in actions:
        raise ValueError(f"mixture {action}: give an action: {', '.join(actions)}")
    own = [argument for argument in rest if argument.partition("=")[0] in OPTIONS[action] and "=" in argument]
    options = OPTIONS[action] | dict(argument.split("=", 1) for argument in own)
    actions[action]([argument for argument in rest if argument not in own], options)


def plan(overrides: list[str], _options: dict[str, str]) -> None:
    """Print what a run would train on."""
    from mai1.data.mixed_stream import MixedStream, check_rows_suffice, open_rows
    from mai1.run.compose import compose_config
    from mai1.run.config import PretrainConfig
    from mai1.run.mixture_runs import open_training_shards, print_table

    config = compose_config("pretrain", PretrainConfig, overrides)
    shards, steps, per_step = open_training_shards(config), config.train.steps, config.batch.sequences_per_step
    settings = {"sequence_length": config.data.sequence_length, "seed": config.run.seed, "rows_per_step": per_step}
    rows = open_rows(shards, config.data.mixture, **settings)
    check_rows_suffice(rows, steps=steps, rows_per_step=per_step)
    if not isinstance(rows, MixedStream):
        epochs = dict.fromkeys(rows.source_names, steps * per_step / rows.rows_per_epoch)
    elif config.data.mixture.online.every_steps:
        raise ValueError(
            "data.mixture.online.every_steps: the losses decide how often each source is seen, nobody knows it now"
        )
    else:
        epochs = rows.epochs_before(steps)
    seen = {shard.stem.name: epochs.get(shard.stem.name, 0.0) * shard.num_tokens for shard in shards}
    print(f"{steps} steps of {per_step} rows of {config.data.sequence_length} tokens")
    print_table(
        ["source", "tokens", "share", "epochs"],
        [
            [shard.stem.name, f"{shard.num_tokens:,}", f"{seen[shard.stem.name] / sum(seen.values()):.2%}",
             f"{epochs.get(shard.stem.name, 0.0):.2f}"]
            for shard in shards
        ],
    )  # fmt: skip


def sweep(overrides: list[str], options: dict[str, str]) -> None:
    """Print or run the small runs."""
    from mai1.run.compose import compose_config
    from mai1.run.config import PretrainConfig
    from mai1.run.mixture_runs import as_override, draw_for, open_training_shards

    if options["start"] not in ("true", "false"):
        raise ValueError(f"start={options['start']} must be true or false")
    config = compose_config("pretrain", PretrainConfig, overrides)
    if not config.data.mixture.is_plain:
        raise ValueError("mixture sweep draws data.mixture itself: leave its keys out")
    count, limits = _number(options, "count", least=2), _limits(options)
    shards = open_training_shards(config)
    sizes = {shard.stem.name: shard.num_tokens for shard in shards}
    names = [f"{config.run.name}-{number:03d}" for number in range(count)]
    commands = [
        [*overrides, f"run.name={name}", as_override(dict(zip(sizes, weights_S, strict=True)))]
        for name, weights_S in zip(names, draw_for(sizes, count, **limits).round(5), strict=True)
    ]
    if options["start"] != "true":
        print("\n".join(shlex.join(["mai1", "pretrain", *command]) for command in commands))
        return
    _run_all(commands, [Path(config.run.directory) / name for name in names])


def fit(arguments: list[str], options: dict[str, str]) -> None:
    """Print how well runs are predicted and which mixture is best; write it where asked to."""
    from mai1.run.mixture_fit import fit_mixture, lines_of, write_experiment

    if not arguments or any("=" in argument for argument in arguments):
        raise ValueError(f"{' '.join(['mixture fit', *arguments])}: give the directories of runs, e.g. runs/sweep-*")
    limits = _limits(options)
    fitted = fit_mixture([Path(argument) for argument in arguments], target=options["target"], **limits)
    print("\n".join(lines_of(fitted)))
    if options["output"]:
        write_experiment(fitted, Path(options["output"]), max_epochs=limits["max_epochs"])


def _run_all(commands: list[list[str]], directories: list[Path]) -> None:
    """One after the other, but for those that are finished; ValueError where one fails."""
    from tqdm import tqdm

    from mai1.run.mixture_runs import is_finished

    for command, directory in zip(tqdm(commands, unit="run"), directories, strict=True):
        if is_finished(directory, command):
            continue
        done = subprocess.run([sys.executable, "-m", "mai1", "pretrain", *command], capture_output=True, text=True)
        if done.returncode:
            last_line = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ValueError(f"mai1 pretrain {shlex.join(command)} ended with code {done.returncode}: {last_line}")
    print("\n".join(str(directory) for directory in directories))


def _limits(options: dict[str, str]) -> dict[str, float]:
    """What mixtures are drawn by, the same for sweep and fit."""
    return {
        "tokens": _number(options, "tokens"),
        "max_epochs": _number(options, "max_epochs"),
        "temperature": _number(options, "temperature", least=1e-3),
        "seed": int(_number(options, "seed")),
    }


def _number(options: dict[str, str], key: str, *, least: float = 0) -> float:
    try:
        value = float(options[key])
    except ValueError:
        raise ValueError(f"{key}={options[key]} must be a number") from None
    if not least <= value < 1e18:
        raise ValueError(f"{key}={options[key]} must be at least {least:g}")
    return int(value) if value == int(value) else value
