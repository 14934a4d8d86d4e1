"""A request to stop: Ctrl-C, SIGTERM (preemption) or SIGUSR1 (time limit) ask for a checkpoint at the next step.

Installed before anything heavy is imported, so that no signal kills a run that is still starting.
"""

import signal
import sys

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """True once a signal has asked; a second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.reason = ""
        for number in NUMBERS:
            signal.signal(number, self._receive)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)  # a supervisor holds them back until somebody listens

    def __bool__(self) -> bool:
        return bool(self.reason)

    def _receive(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT and self.reason:
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name
        print(f"\n{self.reason}: stopping after this step, with a checkpoint", file=sys.stderr, flush=True)
