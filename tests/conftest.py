"""What holds for every test."""

import os
import signal

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # settled when Triton is imported, by whatever test comes first

LONGEST = (
    *(
        "train/test_topology",
        "checkpoint/test_resume",
        "engine/test_lora",
        "run/test_commands",
        "test_readme",
        "docs/test_walk",
    ),
    *("run/test_mistakes", "watch/test_soak", "engine/test_muon", "checkpoint/test_lora", "train/test_selection"),
    *(
        "run/test_foreign_model",
        "train/test_pipeline",
        "launch/test_real_slurm",
        "run/test_signals",
        "run/test_grow_command",
    ),
)
"""Files that take a minute or more: first, so that none of them is left for the end, when other processes have nothing to do."""
HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGUSR1: signal.SIG_DFL}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; files stay together, and tests within them in order."""
    ends = {f"tests/{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ends.get(item.nodeid.partition("::")[0], len(ends)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Commands that ran in this process before listen to signals for the rest of it; a test must not meet their handlers."""
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)
