"""`mai1 tokenizer train|compare|export|encode|decode`: make a tokenizer, choose one by figures, hand it on, look at it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.run.output import check_new_directory
from mai1.run.text_files import read_samples
from mai1.tokenizer.byte_bpe import ByteBpeModel, show_bytes
from mai1.tokenizer.compare import Comparison, lines_of
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.ranks import write_ranks
from mai1.tokenizer.tokenizer import Tokenizer, holds_tokenizer
from mai1.tokenizer.training import TokenizerConfig, even_sample, train_tokenizer

USAGE = """usage: mai1 tokenizer train input=FILES output=DIR [tokenizer.kind=byte_bpe] [tokenizer.vocab_size=32000] ...
           learn one; `mai1 tokenizer train --help` lists every key
       mai1 tokenizer compare DIR [DIR ...] input=FILES [text_field=text] [json=true]
           the same texts by several tokenizers: bytes per token (more is cheaper: a model reads and writes tokens), tokens
           per word, tokens of a single byte and of broken characters (many mean that a language was not learned from) and
           the speed of encoding; over all, by source and by language. Every text must come back byte for byte
       mai1 tokenizer export DIR output=DIR [format=huggingface]
           huggingface: tokenizer.json and its settings for AutoTokenizer; tiktoken: the ranks of a byte-level BPE and the
           expression that cuts words
       mai1 tokenizer encode DIR text='Some words'
           the pieces of a text, each with its id; a space is shown as a middle dot, a line end as an arrow
       mai1 tokenizer decode DIR ids=312,77,9

DIR holds a tokenizer: a tokenizer, corpus, run or checkpoint directory. FILES are one or several, input=[a.txt,books]: of a
.jsonl or .jsonl.gz each line is a text (and may name its `language`), any other UTF-8 file is one; directories with all
that is in them."""

OPTIONS = {
    "compare": {"input": "", "text_field": "text", "json": "false"},
    "export": {"output": "", "format": "huggingface"},
    "encode": {"text": ""},
    "decode": {"ids": ""},
}
"""key=value options of each action and their defaults."""


@dataclass(kw_only=True, slots=True)
class TrainTokenizerConfig:
    """`mai1 tokenizer train`."""

    input: list[str] = field(default_factory=list)
    """Files and directories to learn from, input=[a.txt,books]; .jsonl and .jsonl.gz hold a text a line, others are one."""

    output: str = ""
    """The directory to write; it must not exist, or be empty."""

    text_field: str = "text"
    """Where a line of JSON has its text."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """How it is learned."""


def main(arguments: list[str]) -> None:
    """Run one action."""
    actions = {"compare": compare, "export": export, "encode": encode, "decode": decode}
    if not arguments or arguments == ["--help"]:
        print(USAGE)
        return
    action, *rest = arguments
    if action == "train":
        train(rest)
        return
    if action not in actions:
        raise ValueError(f"tokenizer {action}: give an action (train, {', '.join(actions)}): `mai1 tokenizer --help`")
    if "--help" in rest:
        print(USAGE)
        return
    directories = [argument for argument in rest if "=" not in argument]
    given = dict(argument.split("=", 1) for argument in rest if "=" in argument)
    for key in given:
        if key not in OPTIONS[action]:
            raise ValueError(f"tokenizer {action}: {key} is no option: use {', '.join(OPTIONS[action])}")
    if not directories or (len(directories) > 1 and action != "compare"):
        raise ValueError(
            f"tokenizer {action}: give {'one directory' if directories else 'a directory'} with a tokenizer"
        )
    actions[action]({name: _load(name) for name in directories}, OPTIONS[action] | given)


def train(arguments: list[str]) -> None:
    """Learn a tokenizer as configured."""
    if "--help" in arguments:
        print_help("tokenizer train", TrainTokenizerConfig, "Learn a tokenizer from text files.")
        return
    inputs = [a.partition("=")[2] for a in arguments if a.startswith("input=")]  # paths are no Hydra grammar
    config = compose_config("tokenizer", TrainTokenizerConfig, [a for a in arguments if not a.startswith("input=")])
    config.input = _inputs(inputs[-1]) if inputs else []
    for key in ("input", "output"):
        if not getattr(config, key):
            raise ValueError(f"{key} must be given: mai1 tokenizer train input=books output=tokenizers/books")
    output = Path(config.output)
    if holds_tokenizer(output):
        raise ValueError(f"output={output} holds a tokenizer already: choose another directory")
    check_new_directory(output, key="output")
    total = sum(len(text.encode()) for text in _texts(config))
    if not total:
        raise ValueError(f"input={','.join(config.input)} must hold text: name other files")
    limit = min(total, config.tokenizer.sample_bytes or total)
    with tqdm(desc="read", total=limit, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        sample = even_sample(_texts(config), share=limit / max(total, 1))
        tokenizer = train_tokenizer(sample, config.tokenizer, advance=bar.update)
    tokenizer.save(output)
    print(f"{output}: {config.tokenizer.kind.value} of {tokenizer.vocabulary.text_size:,} pieces from {limit:,} bytes")


def compare(tokenizers: dict[str, Tokenizer], options: dict[str, str]) -> None:
    """Print how well each tokenizer fits the texts."""
    if options["json"] not in ("true", "false"):
        raise ValueError(f"json={options['json']} must be true or false")
    comparison = Comparison(tokenizers)
    samples = read_samples(_inputs(options["input"]), text_field=options["text_field"])
    comparison.add(
        (sample.text, [f"source {sample.source}", *([f"language {sample.language}"] * bool(sample.language))])
        for sample in samples
    )
    if not comparison.fits:
        raise ValueError(f"input={options['input']} must hold text: name other files")
    if options["json"] == "true":
        print(json.dumps(comparison.figures(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines_of(comparison)))


def export(tokenizers: dict[str, Tokenizer], options: dict[str, str]) -> None:
    """Write the tokenizer for other programs."""
    [tokenizer] = tokenizers.values()
    output = Path(options["output"])
    if not options["output"]:
        raise ValueError("tokenizer export: output= is missing: give it the directory to write")
    check_new_directory(output, key="output")
    if options["format"] == "huggingface":
        write_huggingface_files(tokenizer, output)
    elif options["format"] == "tiktoken":
        if not isinstance(tokenizer.model, ByteBpeModel):
            raise ValueError("format=tiktoken must have a byte-level BPE, but this is SentencePiece: use huggingface")
        write_ranks(tokenizer, output)
    else:
        raise ValueError(f"format={options['format']} must be huggingface or tiktoken")
    print(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")


def encode(tokenizers: dict[str, Tokenizer], options: dict[str, str]) -> None:
    """Print the pieces of a text and their ids."""
    [tokenizer] = tokenizers.values()
    text = options["text"]
    if not text:
        raise ValueError("tokenizer encode: text= is missing: give it the text, in quotes")
    ids = tokenizer.encode(text)
    shown = [show_bytes(tokenizer.model.bytes_of_id[i]).replace(" ", "\u00b7").replace("\n", "\u21b5") for i in ids]
    width = max(map(len, map(str, ids)))
    print("\n".join(f"{token_id:>{width}}  {piece}" for token_id, piece in zip(ids, shown, strict=True)))
    print(f"{len(ids)} tokens for {len(text.encode())} bytes; ids={','.join(map(str, ids))}")


def decode(tokenizers: dict[str, Tokenizer], options: dict[str, str]) -> None:
    """Print the text of some ids."""
    [tokenizer] = tokenizers.values()
    try:
        ids = [int(part) for part in options["ids"].strip("[]").replace(",", " ").split()]
    except ValueError:
        ids = []
    if not ids:
        raise ValueError(f"ids={options['ids']} must be numbers with commas between them: ids=312,77,9")
    print(tokenizer.decode(ids))


def _load(name: str) -> Tokenizer:
    """The tokenizer of a directory, or of the directory `tokenizer` in it, as corpora and runs have."""
    directory = Path(name).expanduser()
    inside = directory / "tokenizer"
    return Tokenizer.load(inside if holds_tokenizer(inside) else directory)


def _texts(config: TrainTokenizerConfig) -> Iterator[str]:
    return (sample.text for sample in read_samples(config.input, text_field=config.text_field))


def _inputs(value: str) -> list[str]:
    """`a` or `[a,b]` as paths."""
    if not value:
        raise ValueError("input= is missing: give it a file or directory, or several: input=[a.txt,books]")
    is_list = value.startswith("[") and value.endswith("]")
    return [part.strip() for part in value[1:-1].split(",") if part.strip()] if is_list else [value]
