"""`mai1 report RUN`: write report.html of a run, finished or not."""

from pathlib import Path

from mai1.report.build import build_report


def main(arguments: list[str]) -> None:
    """Build the page and say where it is."""
    if "--help" in arguments or len(arguments) != 1:
        print("usage: mai1 report runs/NAME")
        return
    directory = Path(arguments[0])
    if not (directory / "config.yaml").is_file():
        raise ValueError(f"{directory} holds no run (no config.yaml there): use runs/NAME")
    print(build_report(directory))
