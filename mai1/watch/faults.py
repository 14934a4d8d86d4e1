"""What a run cannot go on from by itself, each with an exit code of its own."""


class ReplicasDifferError(RuntimeError):
    """Weights that ranks hold alike are no longer alike: a memory or a link is broken, and a person must look."""

    exit_code = 3


class DivergedError(RuntimeError):
    """Steps keep being refused, and going back to a checkpoint did not help or was not possible: a person must look."""

    exit_code = 4


class FaultyRankError(RuntimeError):
    """One rank computes wrongly time and again: its machine must be left out."""

    exit_code = 5


class UnfitNodesError(RuntimeError):
    """The check of the nodes before the first step found what must be mended, or nodes that must be left out."""

    exit_code = 6
