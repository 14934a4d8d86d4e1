"""`mai1 generate`: continue a prompt or answer a chat, from any checkpoint."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.data.instructions import read_conversations
from mai1.generate.sampling import SamplingConfig, generate
from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(kw_only=True, slots=True)
class GenerateConfig:
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    prompt: str = ""
    """Text to continue; with chat=true a question to answer."""
    chat: bool = False
    """Put the prompt into the chat template as a user's message."""
    messages: str = ""
    """JSON file with a list of messages to answer, or JSON Lines with a list on each line; instead of a prompt."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How tokens are chosen."""


def main(arguments: list[str]) -> None:
    """Generate as configured; text goes to standard output."""
    if "--help" in arguments:
        print_help("generate", GenerateConfig, __doc__)
        return
    prompts = [a.partition("=")[2] for a in arguments if a.startswith("prompt=")]  # free text is no Hydra grammar
    config = compose_config("generate", GenerateConfig, [a for a in arguments if not a.startswith("prompt=")])
    config.prompt = prompts[-1] if prompts else config.prompt
    for text in answers(config):
        print(text)


def answers(config: GenerateConfig) -> list[str]:
    """One text for the prompt or for each conversation."""
    if bool(config.prompt) == bool(config.messages):
        raise ValueError("prompt and messages: give exactly one, for example prompt='Once upon a time'")
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    tokenizer = Tokenizer.load(directory)
    if config.messages:
        chats = read_conversations(Path(config.messages))
        prompts = [encode_chat(tokenizer, chat, add_generation_prompt=True).ids for chat in chats]
    elif config.chat:
        message = {"role": "user", "content": config.prompt}
        prompts = [encode_chat(tokenizer, [message], add_generation_prompt=True).ids]
    else:
        prompts = [[tokenizer.end_of_text_id, *tokenizer.encode(config.prompt)]]
    model = load_model(directory)
    stop_ids = [tokenizer.end_of_text_id, tokenizer.vocabulary.control_id("<|end|>")]
    print(f"{directory}: {len(prompts)} to generate", file=sys.stderr)
    completions = generate(
        model, prompts, config.sampling, stop_ids=stop_ids, num_text_ids=tokenizer.vocabulary.text_size
    )
    return [tokenizer.decode(ids) for ids in completions]
