"""A person at the terminal judges: two answers without names, one key for each."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from mai1.arena.battles import Battle, Judgement, Verdict
from mai1.arena.judges import judgement_of
from mai1.generate.terminal import harmless

KEYS = {"a": Verdict.left, "b": Verdict.right, "t": Verdict.tie, "s": Verdict.skip}
ASK = "better: [a] [b] [t]ie [s]kip [q]uit > "
WIDTH = 100


class Finished(Exception):  # noqa: N818 - nothing went wrong
    """The person does not want to judge any more."""


@dataclass(slots=True)
class TerminalJudge:
    """Shows a battle and waits for a key."""

    read: Callable[[str], str] = input
    write: Callable[[str], None] = print

    def __call__(self, battle: Battle) -> Judgement:
        """The person's judgement; Finished when they quit."""
        self.write("\n" + "=" * WIDTH)
        for message in battle.prompt.messages:
            self.write(f"[{message['role']}]\n{shown(message['content'])}\n")
        for name, answer in (("A", battle.left_answer), ("B", battle.right_answer)):
            self.write(f"---- {name} " + "-" * (WIDTH - 7) + f"\n{shown(answer)}\n")
        while True:
            try:
                key = self.read(ASK).strip().lower()
            except EOFError:
                raise Finished from None
            if key == "q":
                raise Finished
            if key in KEYS:
                return judgement_of(battle, KEYS[key], judge="person")


def shown(text: str) -> str:
    """Text as a terminal may show it: wrapped, and without what a terminal would obey."""
    lines = (
        textwrap.wrap(line, WIDTH, replace_whitespace=False, drop_whitespace=False) or [""]
        for line in harmless(text).split("\n")
    )
    return "\n".join(part for wrapped in lines for part in wrapped)
