"""`mai1 grow`: a checkpoint with more experts, other ones or fewer: upcycle, add, split, clone, prune."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from mai1.model.moe.router import Scores


class Method(Enum):
    """What becomes of the experts."""

    upcycle = "upcycle"  # dense layers become experts: arXiv 2212.05055
    add = "add"  # further experts, copies of some there are
    split = "split"  # each in narrower ones that sum to it
    clone = "clone"  # each several times
    prune = "prune"  # those that a text uses least are dropped


class Rows(Enum):
    """How the router rows of added experts begin."""

    unchosen = "unchosen"  # by no token, through the selection bias
    apart = "apart"  # by the tokens of a new domain


@dataclass(kw_only=True, slots=True)
class GrowConfig:
    method: Method = Method.upcycle
    """upcycle (dense layers to experts) | add (more experts) | split (into narrower ones) | clone | prune (by use)."""
    checkpoint: str = "runs/first"
    """Run, checkpoint, or Hugging Face directory; for upcycle also of a Llama, Mistral or Qwen3."""
    output: str = "runs/grown"
    """New directory: a run to resume, where the source has optimizer state, else a model."""
    experts: int = 8
    """upcycle: experts of each layer; add: how many more; prune: how many stay."""
    top_k: int = 0
    """Experts each token goes to; 0: upcycle 2, clone as many times more as there are copies, else as before."""
    expert_width: int = 0
    """upcycle: inner width of one expert, of which several make the dense network; 0: as wide as that."""
    shared_experts: int = 0
    """upcycle: first slices of the dense network that every token goes to; needs scores=sigmoid."""
    dense_layers: int = 0
    """upcycle: first layers that stay dense."""
    scores: Scores = Scores.softmax
    """upcycle of a Hugging Face model: softmax (Mixtral, Qwen3-MoE) | sigmoid (GLM-4-MoE, with a selection bias)."""
    parts: int = 2
    """split: narrower experts that each is cut into."""
    copies: int = 2
    """clone: how often each expert is there."""
    sources: list[int] = field(default_factory=list)
    """add: ids of the experts to copy, in every layer, by turns; empty: those the new text uses most, or else the text."""
    rows: Rows = Rows.unchosen
    """add: unchosen (by no token until balance.method=bias lets them in) | apart (by tokens of new_text, not of text)."""
    margin: float = 2.0
    """add with rows=apart: logits by which the two domains are held apart."""
    allowed_share: float = 1e-3
    """add with rows=apart and sigmoid scores: share of the text's tokens that may choose a new expert."""
    noise: float = 0.0
    """Normal noise on the weights of copies, as a share of their standard deviation; 0 keeps the function."""
    redrawn: float = 0.0
    """Share of a copy's inner channels that is drawn anew (Drop-Upcycling, arXiv 2502.19261); 1: fresh experts."""
    seed: int = 0
    """Of router rows, noise and redrawn channels."""
    text: list[str] = field(default_factory=list)
    """Files or directories of text: for use (add, prune) and to compare result and source; empty: Python's help pages."""
    new_text: list[str] = field(default_factory=list)
    """The same of the domain that experts are added for."""
    text_field: str = "text"
    """Key of the text in JSON lines."""
    row_length: int = 256
    """Tokens of one row of text."""
    measured_rows: int = 64
    """Rows over which use is counted."""
    compared_rows: int = 4
    """Rows over which result and source are compared, both whole in memory; 0 compares nothing."""

    def __post_init__(self) -> None:
        for key in ("experts", "parts", "copies", "measured_rows"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        for key in ("top_k", "expert_width", "shared_experts", "dense_layers", "noise", "compared_rows"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"{key}={getattr(self, key)} must not be negative")
        if not 0 <= self.redrawn <= 1:
            raise ValueError(f"redrawn={self.redrawn} must be from 0 to 1")
        if not 0 <= self.allowed_share < 1:
            raise ValueError(f"allowed_share={self.allowed_share} must be at least 0 and below 1")
        if not self.margin > 0:
            raise ValueError(f"margin={self.margin} must be above 0")
        if self.row_length < 2:
            raise ValueError(f"row_length={self.row_length} must be at least 2")
        if self.rows is Rows.apart and self.method is Method.add and not (self.text and self.new_text):
            raise ValueError("rows=apart tells two domains apart: give text=[...] of the old one and new_text=[...]")


def main(arguments: list[str]) -> None:
    """Grow as configured; what changed goes to standard output."""
    from mai1.run.compose import compose_config
    from mai1.run.help import print_help

    if "--help" in arguments:
        print_help("grow", GrowConfig, __doc__)
        return
    config = compose_config("grow", GrowConfig, arguments)
    from mai1.run.growth import grow
    from mai1.run.output import sole_writer

    with sole_writer(Path(config.output), key="output"):
        for line in grow(config, Path(config.output)):
            print(line)
