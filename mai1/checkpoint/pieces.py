"""Which range of the optimizer state lies in which file: a row for as many pieces as follow one another alike.

Ranks cut a tensor into pieces of one size, one after another, a rank each. So a row of the manifest's table is a *run*, six
numbers: start, numel, count, rank, every, part. Its piece i is elements [start + i * numel, start + (i + 1) * numel) of the
flat logical tensor, in the file of rank `rank + i * every`, under the key KIND|NAME|START. The table of 15,000 ranks is as
long as that of 15, but where a rank's state is a slice of all parameters and pieces have the sizes that come.
"""

import re
from dataclasses import astuple, dataclass

Rows = dict[str, dict[str, list[list[int]]]]
"""The table as the manifest has it: kind -> name -> runs, sorted by start."""
OPTIMIZER_FILE = re.compile(r"trainer/optimizer-(\d{5,9})-of-(\d{5,9})(?:-part-(\d{3,9}))?\.safetensors")
MAX_LOOKED_UP = 2**24
"""Files that the runs of one table may name in all, alike ones counted once: more would take minutes to look up."""


@dataclass(slots=True, order=True)
class Run:
    """Pieces of one size that follow one another."""

    start: int
    """First element within the flat logical tensor."""
    numel: int
    """Of each piece."""
    count: int
    """Pieces."""
    rank: int
    """Whose file holds the first."""
    every: int
    """From a piece's rank to the next one's; 0 where all lie in one file."""
    part: int
    """Which of its ranks' files, counted from 0."""

    @property
    def end(self) -> int:
        return self.start + self.numel * self.count

    @property
    def last_rank(self) -> int:
        return self.rank + self.every * (self.count - 1)

    def continued(self, other: "Run") -> "Run | None":
        """This run and the other as one; None where the other is not its continuation."""
        every = self.every if self.count > 1 else other.rank - self.rank
        is_alike = (other.start, other.numel, other.part) == (self.end, self.numel, self.part)
        is_next = every >= 0 and other.rank == self.last_rank + every and (other.count == 1 or other.every == every)
        if not (is_alike and is_next):
            return None
        return Run(self.start, self.numel, self.count + other.count, self.rank, every, self.part)


def optimizer_file(rank: int, *, num_ranks: int, part: int) -> str:
    """One of the files that a rank writes its optimizer state to."""
    further = f"-part-{part + 1:03d}" if part else ""
    return f"trainer/optimizer-{rank + 1:05d}-of-{num_ranks:05d}{further}.safetensors"


def key_of(kind: str, name: str, start: int) -> str:
    """What a piece is called within its file."""
    return f"{kind}|{name}|{start}"


def pieces_table(rows: list[list]) -> Rows:
    """The manifest's table from [kind, name, *run] of all ranks, in any order."""
    table: dict[str, dict[str, list[Run]]] = {}
    for kind, name, *run in rows:
        table.setdefault(kind, {}).setdefault(name, []).append(Run(*run))
    return {
        kind: {name: [list(astuple(run)) for run in joined(runs)] for name, runs in names.items()}
        for kind, names in table.items()
    }


def joined(runs: list[Run]) -> list[Run]:
    """The same pieces in as few runs as follow from their order, sorted by start."""
    found: list[Run] = []
    for run in sorted(runs):
        longer = found[-1].continued(run) if found else None
        if longer is None:
            found.append(run)
        else:
            found[-1] = longer
    return found


def check_table(table: Rows, files: dict[str, dict], *, num_ranks: int) -> None:
    """ValueError where a table that was read says what cannot be, or names a file that is none of the checkpoint's."""
    known: set[tuple[int, ...]] = set()  # most tensors are cut alike
    num_looked_up = 0
    for kind, names in table.items():
        for name, rows in names.items():
            for row in rows:
                run = _checked(row, what=f"{kind} of {name}")
                if (alike := (run.rank, run.every, run.last_rank, run.part)) in known:
                    continue
                known.add(alike)
                ranks = range(run.rank, run.last_rank + 1, run.every or 1)
                num_looked_up += len(ranks)
                if num_looked_up > MAX_LOOKED_UP:
                    raise ValueError(f"its table of pieces names more than {MAX_LOOKED_UP} files")
                if any(optimizer_file(rank, num_ranks=num_ranks, part=run.part) not in files for rank in ranks):
                    raise ValueError(f"{kind} of {name} lies in a file that is none of the checkpoint's")


def _checked(row: list, *, what: str) -> Run:
    if type(row) is not list or len(row) != 6 or not all(type(value) is int and 0 <= value < 2**62 for value in row):
        raise ValueError(f"{what}: {str(row)[:80]} is no run of pieces")
    run = Run(*row)
    if not run.numel or not run.count or max(run.end, run.last_rank, run.part) >= 2**62:
        raise ValueError(f"{what}: {str(row)[:80]} is no run of pieces")
    return run


def table_of_single_pieces(table: dict, *, num_ranks: int) -> Rows:
    """The table of a manifest of version 1, which lists every piece as [start, numel, file, key]."""
    return pieces_table(
        [
            [kind, name, *_single(piece, kind=kind, name=name, num_ranks=num_ranks)]
            for kind, names in table.items()
            for name, pieces in names.items()
            for piece in pieces
        ]
    )


def _single(piece: list, *, kind: str, name: str, num_ranks: int) -> tuple[int, ...]:
    start, numel, file, key = piece
    named = OPTIMIZER_FILE.fullmatch(file)
    if named is None or int(named[2]) != num_ranks or key != key_of(kind, name, start):
        raise ValueError(f"{kind} of {name} lies in a file that is none of the checkpoint's")
    run = [start, numel, 1, int(named[1]) - 1, 0, int(named[3] or 1) - 1]
    _checked(run, what=f"{kind} of {name}")
    return tuple(run)
