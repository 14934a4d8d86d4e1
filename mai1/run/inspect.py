"""`mai1 inspect`: which experts the tokens of a text go to, and what each expert specialises in, as a page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mai1.checkpoint.families import family_of
from mai1.checkpoint.inference import load_model, read_model_config, resolve_checkpoint
from mai1.data.batch import Row
from mai1.evaluate.choices import Choices, expert_choices
from mai1.model.transformer import ModelConfig
from mai1.report.inspect import build_inspection
from mai1.report.inspect_input import Inspection, Layer, Passage
from mai1.run.compose import compose_config
from mai1.run.datasets import open_pretraining
from mai1.run.evaluation_records import data_of_run
from mai1.run.help import print_help
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.output import check_output
from mai1.tokenizer.tokenizer import Tokenizer

ROWS_AT_ONCE = 8


@dataclass(kw_only=True, slots=True)
class InspectConfig:
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    text: str = ""
    """Text to look at; without text and text_file the beginnings of the held-out sources."""
    text_file: str = ""
    """UTF-8 file to look at, instead of text."""
    data: str = "auto"
    """Prepared data on whose held-out shards the experts are surveyed; auto: what the run was trained on; empty: the text
    alone."""
    sequence_length: int = 512
    """Tokens of context; longer text is cut into pieces of this many."""
    max_tokens: int = 20000
    """Most tokens of the text, and about as many of all held-out sources together: an even sample, at least a row of each."""
    min_count: int = 5
    """An expert must be taken this many times for a token that is shown as characteristic of it."""
    output: str = ""
    """The page; empty: inspect.html in the run's directory, or NAME-inspect.html beside a checkpoint of no run."""

    def __post_init__(self) -> None:
        for key, least in (("sequence_length", 2), ("max_tokens", 2), ("min_count", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)} must be at least {least}")


def main(arguments: list[str]) -> None:
    """Inspect as configured; the path of the page goes to standard output."""
    if "--help" in arguments:
        print_help("inspect", InspectConfig, __doc__)
        return
    texts = [a.partition("=")[2] for a in arguments if a.startswith("text=")]  # free text is no Hydra grammar
    config = compose_config("inspect", InspectConfig, [a for a in arguments if not a.startswith("text=")])
    config.text = texts[-1] if texts else config.text
    print(inspect_experts(config))


@dataclass(slots=True, eq=False)
class Part:
    """Rows of one origin: the text that was given, or a held-out source."""

    name: str
    rows: list[Row]

    @property
    def sizes(self) -> list[int]:
        """Tokens of each row, padding left out."""
        return [min(row.num_valid, len(row.ids) - 1) for row in self.rows]


@dataclass(slots=True)
class Material:
    """What is looked at, and with which model."""

    directory: Path
    model_config: ModelConfig
    tokenizer: Tokenizer
    text: list[Part]
    """The text that was given, or nothing."""
    heldout: list[Part]
    notes: list[str]
    """What was cut, for the page."""


def inspect_experts(config: InspectConfig) -> Path:
    """Write the page and return its path."""
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    page = _page_path(config, directory)
    material = _open(config, directory)
    model = load_model(directory).to("cuda" if torch.cuda.is_available() else "cpu")
    rows = [row for part in (*material.text, *material.heldout) for row in part.rows]
    end_of_text_id = material.tokenizer.end_of_text_id
    choices = expert_choices(model, rows, rows_at_once=ROWS_AT_ONCE, end_of_text_id=end_of_text_id)
    build_inspection(_inspection(material, choices, min_count=config.min_count), page)
    return page


def _open(config: InspectConfig, directory: Path) -> Material:
    model_config = read_model_config(directory)
    if config.sequence_length > model_config.max_positions:
        raise ValueError(
            f"sequence_length={config.sequence_length} must not exceed the model's {model_config.max_positions} "
            "positions: use that or less"
        )
    tokenizer, notes = load_tokenizer(directory, key="checkpoint"), []
    text, heldout = _text_part(config, tokenizer, notes), _heldout_parts(config, directory, tokenizer)
    if not text and not heldout:
        raise ValueError("nothing to look at: give text='...' or text_file=FILE, or data=DIR that `mai1 prepare` wrote")
    return Material(directory, model_config, tokenizer, text, heldout, notes)


def _inspection(material: Material, choices: Choices, *, min_count: int) -> Inspection:
    """What the page is made of; `choices` are those of the text's rows and then of the held-out rows."""
    parts, surveyed = [*material.text, *material.heldout], material.heldout or material.text
    moe = material.model_config.moe
    sizes = [sum(part.sizes) for part in parts]
    seen_ids, tokens = np.unique(choices.tokens_N, return_inverse=True)
    several = "s" * (len(surveyed) > 1)
    return Inspection(
        title=_name_of(material.directory),
        subtitle=f"{material.directory} · {family_of(material.model_config).value} · {moe.top_k} experts a token",
        notes=material.notes,
        token_names=_token_names(material.tokenizer, seen_ids.tolist()),
        tokens=tokens,
        source_names=[part.name for part in surveyed],
        sources=np.repeat([surveyed.index(part) if part in surveyed else 0 for part in parts], sizes),
        layers=[
            Layer(number=n, num_experts=moe.num_experts, experts=layer.experts_NK, weights=layer.weights_NK)
            for n, layer in sorted(choices.layers.items())
        ],
        passages=_passages(material),
        is_surveyed=np.repeat([part in surveyed for part in parts], sizes),
        survey=f"held-out text, {len(surveyed)} source{several}" if material.heldout else "the text itself",
        min_count=min_count,
    )


def _page_path(config: InspectConfig, directory: Path) -> Path:
    run = directory.parent.parent
    is_of_run = (run / "run.json").is_file()
    default = run / "inspect.html" if is_of_run else directory.with_name(f"{directory.name}-inspect.html")
    page = Path(config.output) if config.output else default
    if any(folder == directory or _is_saved_checkpoint(folder) for folder in page.resolve().parents):
        raise ValueError(f"output={page} is inside a checkpoint, which stays as it was saved: choose another place")
    if page.is_dir() or not page.parent.is_dir():
        raise ValueError(f"output={page} must name a file in a directory that exists: choose another")
    check_output(page, key="output", inputs=[Path(config.text_file)] if config.text_file else [])
    return page


def _is_saved_checkpoint(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / "manifest.json").is_file()


def _name_of(directory: Path) -> str:
    """The run and the step, or the directory's own name."""
    run = directory.parent.parent
    return f"{run.name}, {directory.name}" if (run / "run.json").is_file() else directory.name


def _text_part(config: InspectConfig, tokenizer: Tokenizer, notes: list[str]) -> list[Part]:
    """The text as one part, or none when none is given; what is cut goes into `notes`."""
    if config.text and config.text_file:
        raise ValueError("text and text_file: give only one of them")
    text = _read_text(Path(config.text_file)) if config.text_file else config.text
    if not text:
        return []
    ids = [tokenizer.end_of_text_id, *tokenizer.encode(text)]
    if len(ids) > config.max_tokens:
        notes.append(f"The text has {len(ids):,} tokens; the first {config.max_tokens:,} are looked at (max_tokens).")
    ids, length = ids[: config.max_tokens], config.sequence_length
    if len(ids) > length:
        notes.append(
            f"The text is read in pieces of {length} tokens, each without what stands before it (sequence_length)."
        )
    pieces = [ids[start : start + length] for start in range(0, len(ids), length)]
    name = Path(config.text_file).name if config.text_file else "text"
    return [Part(name, [_row(piece, length, tokenizer.pad_id) for piece in pieces])]


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"text_file={path} cannot be read ({error.strerror}): name a UTF-8 text file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"text_file={path} is not UTF-8 at byte {error.start}: convert the file") from None
    if not text:
        raise ValueError(f"text_file={path} is empty: name a file with text")
    return text


def _row(ids: list[int], length: int, pad_id: int) -> Row:
    padded = np.full(length + 1, pad_id, dtype=np.int64)
    padded[: len(ids)] = ids
    return Row(padded, np.zeros(length + 1, dtype=np.uint8), num_valid=len(ids))


def _heldout_parts(config: InspectConfig, directory: Path, tokenizer: Tokenizer) -> list[Part]:
    """The held-out sources of the data, evenly thinned so that together they have about `max_tokens` tokens."""
    data_path = data_of_run(directory) if config.data == "auto" else config.data
    if not data_path:
        return []
    num_sources = len(list((Path(data_path) / "heldout").glob("*.idx")))
    rows = max(1, config.max_tokens // (config.sequence_length * max(num_sources, 1)))
    data = open_pretraining(
        Path(data_path), sequence_length=config.sequence_length, seed=0, heldout_rows=rows, key="data"
    )
    if data.tokenizer.hash != tokenizer.hash:
        raise ValueError(f"data={data_path} was prepared with another tokenizer than {directory} has: use its own data")
    return [Part(source.name, source.rows) for source in data.heldout]


def _passages(material: Material) -> list[Passage]:
    """What is shown: the text, or the first row of each held-out source."""
    if material.text:
        return [Passage(title=part.name, first=0, end=sum(part.sizes)) for part in material.text]
    passages, first = [], 0
    for part in material.heldout:
        passages.append(Passage(title=part.name, first=first, end=first + part.sizes[0]))
        first += sum(part.sizes)
    return passages


def _token_names(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    """Each token's text, or the name of its piece where that is no text by itself: `<0xE2>`."""
    if tokenizer.is_foreign:
        names = {token_id: tokenizer.vocabulary.name_of(token_id) for token_id in ids}
    else:
        names = dict(enumerate(name for name, _ in tokenizer.pieces()))
    texts = {token_id: tokenizer.decode([token_id]) for token_id in ids}
    return [names.get(token_id, text) if "\ufffd" in text else text for token_id, text in texts.items()]
