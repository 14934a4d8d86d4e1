"""`mai1 chat`: talk to a checkpoint in the terminal.

Answers appear as they are written; Ctrl-C ends an answer, not the program, and Ctrl-D or /quit ends the program. What a model
writes is shown and never obeyed: control characters appear written out. From a pipe every line is a question, and only
answers go to standard output.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.generate.chat_session import ChatSession, ConversationTooLongError
from mai1.generate.compiled_step import Kernels, compile_step
from mai1.generate.sampling import SamplingConfig
from mai1.generate.terminal import harmless
from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.run.model_tokenizer import load_tokenizer

COMMANDS = """/help              this text
/system TEXT       what the model is told before everything else; without a text: nothing
/regenerate        another answer to the last question
/drop              forget the oldest question and its answer
/reset             forget everything but the system message
/stats             what the last answer took, and how full the model's positions are
/save FILE         write the conversation to a new file, as JSON
/quit              end
A line that ends with a backslash goes on in the next one. Ctrl-C ends an answer."""


@dataclass(kw_only=True, slots=True)
class ChatConfig:
    checkpoint: str = "runs/first-sft"
    """Run, checkpoint or Hugging Face directory of a tuned model."""
    system: str = ""
    """What the model is told before everything else; empty: nothing."""
    kernels: Kernels = Kernels.torch
    """torch | compiled (needs gcc; compiled at the start in half a second): what computes steps, on a CPU."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How tokens are chosen."""


def main(arguments: list[str]) -> None:
    """Chat as configured."""
    if "--help" in arguments:
        print_help("chat", ChatConfig, __doc__)
        return
    systems = [a.partition("=")[2] for a in arguments if a.startswith("system=")]  # free text is no Hydra grammar
    config = compose_config("chat", ChatConfig, [a for a in arguments if not a.startswith("system=")])
    config.system = systems[-1] if systems else config.system
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    tokenizer = load_tokenizer(directory, key="checkpoint")
    model = load_model(directory)
    step = compile_step(model, key="kernels") if config.kernels is Kernels.compiled else None
    session = ChatSession(model=model, tokenizer=tokenizer, sampling=config.sampling, step=step)
    session.set_system(config.system)
    Chat(session, is_interactive=sys.stdin.isatty() and sys.stdout.isatty()).run()


class Chat:
    """Reads lines until there are no more, and answers them."""

    def __init__(self, session: ChatSession, *, is_interactive: bool) -> None:
        self._session, self._is_interactive, self._ctrl_c = session, is_interactive, _CtrlC()
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: self._say(COMMANDS),
            "/system": self._set_system,
            "/regenerate": lambda _: self._show(session.ask_again()),
            "/drop": lambda _: self._drop(),
            "/reset": lambda _: self._reset(),
            "/stats": lambda _: self._say(_statistics(session)),
            "/save": self._save,
        }

    def run(self) -> None:
        """Until the end of the input or /quit."""
        if self._is_interactive:
            with suppress(ImportError):
                import readline  # noqa: F401  (gives `input` a history and keys to edit)
            self._say("/help shows what there is besides asking; Ctrl-D ends.")
        for line in self._lines():
            command, _, rest = line.strip().partition(" ")
            if command == "/quit":
                return
            try:
                if not command.startswith("/"):
                    self._show(self._session.ask(line))
                elif command in self._commands:
                    self._commands[command](rest.strip())
                else:
                    self._say(f"{harmless(command)} is no command: /help lists them")
            except ConversationTooLongError as error:
                self._say(f"{error}: /drop forgets the oldest question, /reset everything")
            except ValueError as error:
                self._say(str(error))

    def _lines(self) -> Iterator[str]:
        """What was typed, without lines of nothing; a backslash at the end joins a line with the next."""
        parts: list[str] = []
        while True:
            try:
                with self._ctrl_c.at_prompt():
                    line = input("... " if parts else "> ") if self._is_interactive else _piped_line()
            except EOFError:
                break
            except KeyboardInterrupt:  # at the prompt: begin the line anew
                print()
                parts = []
                continue
            parts.append(line.removesuffix("\\"))
            if line.endswith("\\"):
                continue
            text, parts = "\n".join(parts), []
            if text.strip():
                yield text
        if any(part.strip() for part in parts):
            yield "\n".join(parts)

    def _show(self, pieces: Iterator[str]) -> None:
        for piece in pieces:
            print(harmless(piece), end="", flush=True)
            if self._ctrl_c.is_noted:
                pieces.close()
                break
        print(flush=True)
        figures = self._session.figures
        if figures.is_out_of_positions:
            self._say("the model's positions are full: /drop forgets the oldest question, /reset everything")
        elif figures.is_cut:
            self._say(f"cut after sampling.max_new_tokens={figures.answer_tokens} tokens")
        elif not figures.answer_tokens:
            self._say("no answer: the question is taken back")

    def _set_system(self, text: str) -> None:
        self._session.set_system(text)
        self._say("the model will be told this first" if text else "there is no system message any more")

    def _drop(self) -> None:
        question = self._session.drop_oldest()
        self._say("there is nothing to forget" if question is None else f"forgotten: {harmless(question[:60])}")

    def _reset(self) -> None:
        self._session.reset()
        self._say("forgotten")

    def _save(self, name: str) -> None:
        if not name:
            raise ValueError("/save needs a file's name: /save talk.json")
        try:
            with open(name, "x", encoding="utf-8") as file:
                json.dump({"messages": self._session.messages}, file, indent=1)
        except OSError as error:
            raise ValueError(f"{harmless(name)}: {error.strerror}: name a new file") from None
        self._say(f"{len(self._session.messages)} messages in {harmless(name)}")

    def _say(self, text: str) -> None:
        """What is no answer goes to standard error."""
        print(f"[{text}]" if "\n" not in text else text, file=sys.stderr, flush=True)


class _CtrlC:
    """At the prompt Ctrl-C interrupts at once; elsewhere the first is only noted, that no computation is torn.

    A second one before the next prompt ends the program.
    """

    def __init__(self) -> None:
        self.is_noted = self._is_at_prompt = False
        signal.signal(signal.SIGINT, self._receive)

    @contextmanager
    def at_prompt(self) -> Iterator[None]:
        """While a person types."""
        self.is_noted, self._is_at_prompt = False, True
        try:
            yield
        finally:
            self._is_at_prompt = False

    def _receive(self, _number: int, _frame: object) -> None:
        if self._is_at_prompt or self.is_noted:
            raise KeyboardInterrupt
        self.is_noted = True


def _piped_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _statistics(session: ChatSession) -> str:
    figures, positions = session.figures, session.model.config.max_positions
    speed = figures.answer_tokens / figures.total_s if figures.total_s else 0.0
    computed = figures.prompt_tokens - figures.reused_tokens
    return (
        f"{session.num_tokens()} of {positions} positions; last answer: {figures.answer_tokens} tokens, {speed:.1f} a "
        f"second, the first after {figures.first_token_s:.2f} s; of {figures.prompt_tokens} tokens before it "
        f"{computed} were read anew"
    )
