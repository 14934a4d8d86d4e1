"""Our models for lm-evaluation-harness 0.4.13."""

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

from mai1.evaluate.likelihood import Likelihood, SharedModel, log_likelihoods
from mai1.evaluate.replies import Prompt, reply
from mai1.evaluate.requests import Beginning, Request, TextEncoder
from mai1.generate.sampling import SamplingConfig
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

MAX_NEW_TOKENS = 256
"""The harness's default for tasks that do not say."""


class HarnessModel(LM):
    """A model of ours as the harness asks it; figures are those of its own class `hf` for the same checkpoint.

    All ranks make all requests and share the work below, so the harness knows of one rank only.
    """

    def __init__(
        self, shared: SharedModel, tokenizer: Tokenizer, *, beginning: Beginning = Beginning.stock, seed: int = 0
    ) -> None:
        super().__init__()
        self._shared, self._tokenizer, self._seed = shared, tokenizer, seed
        self._texts = TextEncoder(tokenizer, beginning)
        self._chats: dict[str, list[int]] = {}
        """Ids of each chat that was rendered: what a message says never becomes a control token."""

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation, and whether it is the greedy one."""
        return [(each.log_likelihood, each.is_greedy) for each in self._ask([self._request(r) for r in requests])]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-likelihood of each text, of any length."""
        windows = [list(self._texts.windows(r.args[0], max_length=self._shared.max_length)) for r in requests]
        found = iter(self._ask([window for of_text in windows for window in of_text]))
        return [sum(next(found).log_likelihood for _ in of_text) for of_text in windows]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """What is said after each context until one of its stops."""
        prompts = [self._prompt(*request.args) for request in requests]
        return reply(self._shared, self._tokenizer, prompts, label="replies")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as a text, by which its ids are found again."""
        if not add_generation_prompt:
            raise ValueError(
                "this task begins the assistant's answer, which chat templates here cannot: use plain text"
            )
        ids = encode_chat(self._tokenizer, chat_history, add_generation_prompt=True).ids
        text = self._tokenizer.decode(ids)
        while self._chats.get(text, ids) != ids:
            text += "\u200b"  # another chat that looks alike; what is asked are its ids
        self._chats[text] = ids
        return text

    @property
    def tokenizer_name(self) -> str:
        return self._tokenizer.hash

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Named for the records of the harness."""
        return "mai1" if chat_template else ""

    def _ask(self, requests: list[Request]) -> list[Likelihood]:
        return log_likelihoods(self._shared, requests, label="likelihoods")

    def _request(self, instance: Instance) -> Request:
        context, continuation = instance.args[:2]
        if context in self._chats:
            return self._texts.after(self._chats[context], continuation)
        return self._texts.request(context, continuation)

    def _prompt(self, context: str, settings: dict) -> Prompt:
        settings = normalize_gen_kwargs(settings, MAX_NEW_TOKENS)
        sampling = SamplingConfig(
            max_new_tokens=settings["max_gen_toks"],
            temperature=settings.get("temperature", 0.0),
            top_k=settings.get("top_k", 0),
            top_p=settings.get("top_p", 1.0),
            seed=self._seed,
        )
        end = self._tokenizer.vocabulary.name_of(self._tokenizer.end_of_text_id)
        until = handle_stop_sequences(settings.get("until"), eos=end)
        ids = self._chats[context] if context in self._chats else self._texts.prompt(context)
        return Prompt(tuple(ids), tuple(until), sampling)
