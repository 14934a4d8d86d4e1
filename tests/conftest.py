"""What holds for every test."""

import signal

import pytest

HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGUSR1: signal.SIG_DFL}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Commands that ran in this process before listen to signals for the rest of it; a test must not meet their handlers."""
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)
