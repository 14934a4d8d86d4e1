"""What a model says to the same prompts again and again while it learns."""

from collections.abc import Callable
from dataclasses import dataclass

from mai1.evaluate.answers import Answer, word_f1
from mai1.evaluate.rows import Measuring
from mai1.evaluate.together import generate_together
from mai1.generate.sampling import SamplingConfig
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """What to go on from."""

    ids: list[int]
    text: str
    """How it is shown."""
    reference: str
    """What really comes."""
    is_question: bool
    """Whether the reference is an answer, which the model's is compared with."""


@dataclass(kw_only=True, slots=True)
class PeriodicSamples:
    """Asks the live model, where it is: nothing is copied, and every rank takes part."""

    every_steps: int
    prompts: list[SamplePrompt]
    sampling: SamplingConfig
    measuring: Measuring
    tokenizer: Tokenizer
    stop_ids: list[int]
    keep: Callable[[int, list[Answer]], None]
    """Called on rank 0 with the step and what was said."""

    def are_due(self, step: int, *, last: int) -> bool:
        """Every so many steps, but for the last: the finished checkpoint is asked more."""
        return step % self.every_steps == 0 and step != last

    def write(self, step: int) -> None:
        """Let the model say something to every prompt; every rank must call this."""
        measuring = self.measuring
        said = generate_together(
            measuring.model,
            [prompt.ids for prompt in self.prompts],
            self.sampling,
            stop_ids=self.stop_ids,
            num_text_ids=self.tokenizer.num_text_ids,
            world=measuring.world,
            num_stages=measuring.num_stages,
            run=measuring.run,
        )
        if measuring.world.is_main:
            self.keep(step, [self._answer(*pair) for pair in zip(self.prompts, said, strict=True)])

    def _answer(self, prompt: SamplePrompt, ids: list[int]) -> Answer:
        completion = self.tokenizer.decode(ids)
        score = word_f1(completion, prompt.reference) if prompt.is_question else None
        return Answer(prompt.text, prompt.reference, completion.strip() if prompt.is_question else completion, score)
