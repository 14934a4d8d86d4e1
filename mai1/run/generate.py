"""`mai1 generate`: continue prompts or answer chats, from any checkpoint.

Text goes to standard output, or with `output` as JSON Lines to a file, in the order of the prompts. Exit codes: 0 all
written; 2 a mistake in what was given, before anything is computed; 130 stopped, and nothing is left half written.
"""

import json
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.data.instructions import read_conversations, read_records
from mai1.generate.compiled_step import Kernels, compile_step
from mai1.generate.sampling import SamplingConfig
from mai1.generate.terminal import harmless
from mai1.generate.texts import Text, write_texts
from mai1.run.compose import compose_config
from mai1.run.directory import write_atomically
from mai1.run.help import print_help
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.output import check_output
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer


class OutputFormat(Enum):
    """How standard output is written; a file is always JSON Lines."""

    text = "text"
    json = "json"


@dataclass(kw_only=True, slots=True)
class GenerateConfig:
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    prompt: str = ""
    """Text to continue; with chat=true a question to answer."""
    chat: bool = False
    """Put prompts into the chat template as a user's message."""
    messages: str = ""
    """JSON file with a list of messages to answer, or JSON Lines with a list on each line; instead of a prompt."""
    prompts: str = ""
    """JSON Lines with a `prompt` in each object, or any other file with a prompt on each line; instead of a prompt."""
    samples: int = 1
    """Texts for each prompt; each has luck of its own."""
    stop: list[str] = field(default_factory=list)
    """Strings that end a text and are no part of it."""
    log_probabilities: bool = False
    """Give each token with its log-probability; needs format=json or output."""
    format: OutputFormat = OutputFormat.text
    """text | json (one object a line) on standard output."""
    output: str = ""
    """File for JSON Lines instead of standard output."""
    rows_at_once: int = 16
    """Texts that are written together; more need more memory and are faster."""
    kernels: Kernels = Kernels.torch
    """torch | compiled (needs gcc; compiled at the start in half a second): what computes steps, on a CPU."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How tokens are chosen."""

    def __post_init__(self) -> None:
        for key in ("samples", "rows_at_once"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        if self.log_probabilities and self.format is OutputFormat.text and not self.output:
            raise ValueError("log_probabilities=true has no place in plain text: use format=json, or output=FILE")
        if "" in self.stop:
            raise ValueError("stop holds an empty string, which would end every text at once: leave it out")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"samples={self.samples} are all alike with sampling.temperature=0: use 1, or a temperature"
            )


def main(arguments: list[str]) -> None:
    """Generate as configured."""
    if "--help" in arguments:
        print_help("generate", GenerateConfig, __doc__)
        return
    prompts = [a.partition("=")[2] for a in arguments if a.startswith("prompt=")]  # free text is no Hydra grammar
    config = compose_config("generate", GenerateConfig, [a for a in arguments if not a.startswith("prompt=")])
    config.prompt = prompts[-1] if prompts else config.prompt
    if config.output:
        given = [Path(path) for path in (config.messages, config.prompts) if path]
        check_output(Path(config.output), key="output", inputs=given)
    written = answers(config)
    if config.output:
        lines = [json.dumps(record) for record in _records(written, config)]
        write_atomically(Path(config.output), "\n".join(lines))
    elif config.format is OutputFormat.json:
        for record in _records(written, config):
            print(json.dumps(record))
    else:
        for text in (text for texts in written for text in texts):
            print(harmless(text.text) if sys.stdout.isatty() else text.text)


def answers(config: GenerateConfig) -> list[list[Text]]:
    """The texts for each prompt or conversation."""
    given = [key for key in ("prompt", "messages", "prompts") if getattr(config, key)]
    if len(given) != 1:
        raise ValueError("prompt, messages and prompts: give exactly one, for example prompt='Once upon a time'")
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    tokenizer = load_tokenizer(directory, key="checkpoint")
    prompts = _prompts(config, tokenizer)
    model = load_model(directory)
    step = compile_step(model, key="kernels") if config.kernels is Kernels.compiled else None
    num_texts = len(prompts) * config.samples
    print(f"{directory}: {num_texts} to generate", file=sys.stderr)
    with tqdm(total=num_texts, unit="text", file=sys.stderr, delay=5.0) as bar:
        return write_texts(
            model,
            tokenizer,
            prompts,
            config.sampling,
            stops=config.stop,
            num_samples=config.samples,
            rows_at_once=config.rows_at_once,
            wants_log_probabilities=config.log_probabilities,
            step=step,
            progress=bar.update,
        )


def _prompts(config: GenerateConfig, tokenizer: Tokenizer) -> list[list[int]]:
    if config.messages:
        chats = read_conversations(Path(config.messages))
    else:
        texts = [config.prompt] if config.prompt else _read_prompts(Path(config.prompts))
        if not config.chat:
            return [[*tokenizer.begin_ids, *tokenizer.encode(text)] for text in texts]
        chats = [[{"role": "user", "content": text}] for text in texts]
    return [encode_chat(tokenizer, chat, add_generation_prompt=True).ids for chat in chats]


def _read_prompts(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(f"prompts={path} is no file: name a file of prompts")
    if path.suffix != ".jsonl":
        try:
            texts = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 at byte {error.start}: convert the file") from None
    else:
        texts = [_prompt_of(record, where) for where, record in read_records(path)]
    if not texts:
        raise ValueError(f"prompts={path} is empty: it needs at least one prompt")
    return texts


def _prompt_of(record: object, where: str) -> str:
    prompt = record.get("prompt") if isinstance(record, dict) else None
    if not isinstance(prompt, str):
        raise ValueError(f"{where}: prompt must be a string: write an object with a prompt on each line")
    return prompt


def _records(written: list[list[Text]], config: GenerateConfig) -> list[dict]:
    """One for each text, with the number of its prompt, from 0 on, and of the sample."""
    records = []
    for number, texts in enumerate(written):
        for sample, text in enumerate(texts):
            record = {"prompt": number, "sample": sample, "text": text.text, "ending": text.ending.value}
            record["num_tokens"] = len(text.tokens)
            if config.log_probabilities:
                record |= {"tokens": text.tokens, "log_probabilities": text.log_probabilities}
            records.append(record)
    return records
