"""`mai1 checkpoint show|verify|prove DIR`: what a checkpoint is, whether it is sound, and that transformers agrees."""

import json
from pathlib import Path

USAGE = """usage: mai1 checkpoint show DIR     step, tokens, shape, files
       mai1 checkpoint verify DIR   compare every file with the size and SHA-256 it was saved with
       mai1 checkpoint prove DIR    load it in transformers: logits, routing, token ids and chat must agree

DIR is a run, its checkpoints folder, or one checkpoint."""


def main(arguments: list[str]) -> None:
    """Run one of the three."""
    actions = {"show": show, "verify": verify, "prove": prove}
    if "--help" in arguments or not arguments:
        print(USAGE)
        return
    if len(arguments) != 2 or arguments[0] not in actions:
        raise ValueError(f"checkpoint {' '.join(arguments)}: give an action ({', '.join(actions)}) and one directory")
    from mai1.checkpoint.inference import resolve_checkpoint

    actions[arguments[0]](resolve_checkpoint(Path(arguments[1]), key="DIR"))


def show(directory: Path) -> None:
    """Print what a checkpoint holds."""
    from mai1.checkpoint.commit import read_manifest
    from mai1.checkpoint.families import family_of
    from mai1.checkpoint.inference import read_model_config
    from mai1.model.flops import count_parameters

    model = read_model_config(directory)
    counts = count_parameters(model)
    print(f"{directory}\n  architecture  {family_of(model).value}")
    print(f"  parameters    {counts.total:,} in all, {counts.active:,} active")
    if (directory / "manifest.json").is_file():
        manifest = read_manifest(directory)
        size = sum(entry["bytes"] for entry in manifest["files"].values())
        print(f"  step          {manifest['step']:,} after {manifest['tokens']:,} tokens")
        print(f"  written by    {manifest['world_size']} ranks, expert parallel {manifest['expert_parallel']}")
        print(f"  size          {size:,} bytes in {len(manifest['files'])} files, weights {manifest['dtype']}")


def verify(directory: Path) -> None:
    """Check every file; ValueError names the damaged ones."""
    from mai1.checkpoint.commit import problems_in, read_manifest

    manifest = read_manifest(directory)
    if problems := problems_in(directory, manifest):
        raise ValueError(f"{directory} is damaged: {'; '.join(problems)}: use another checkpoint")
    print(f"{directory} is sound: {len(manifest['files'])} files as saved")


def prove(directory: Path) -> None:
    """Compare with transformers and keep the result beside the run; ValueError when they disagree."""
    from mai1.export.parity import prove_parity
    from mai1.run.directory import write_atomically

    result = prove_parity(directory)
    run = directory.parent.parent
    if (run / "run.json").is_file():
        write_atomically(run / "parity.json", json.dumps(result, indent=1))
    print(
        f"{directory} is a {result['architecture']}: logits differ by at most {result['max_logit_difference']:.1e}, "
        f"routing agrees on {result['routing_agreement']:.2%} of choices, token ids and chat are identical"
    )
