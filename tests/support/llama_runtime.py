"""llama.cpp in this process, through the wheel `cyllama`, for tests of GGUF files: token ids and logits."""

from pathlib import Path

import numpy as np
import pytest

llama_cpp = pytest.importorskip("cyllama.llama.llama_cpp", reason="needs cyllama, which holds llama.cpp")
llama_cpp.disable_logging()
F32 = 0
"""Type of the key-value cache, and no flash attention."""


class LlamaModel(llama_cpp.LlamaModel):
    """A GGUF file, opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), llama_cpp.LlamaModelParams())

    @property
    def n_vocab(self) -> int:
        """What the context asks for when logits are read."""
        return self.get_vocab().n_vocab

    def ids_of(self, text: str, *, reads_control: bool = False, begins: bool = False) -> list[int]:
        """Token ids; with `reads_control` names of control tokens are those, with `begins` a text begins as it should."""
        return self.get_vocab().tokenize(text, begins, reads_control)

    def logits_of(self, ids: list[int]) -> np.ndarray:
        """Logits after each token, `[tokens, vocabulary]`."""
        settings = llama_cpp.LlamaContextParams()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = 256
        settings.n_threads = settings.n_threads_batch = 1
        settings.type_k = settings.type_v = settings.flash_attn_type = F32
        context = llama_cpp.LlamaContext(self, settings)
        batch = llama_cpp.LlamaBatch(n_tokens=256, embd=0, n_seq_max=1)
        for place, token in enumerate(ids):
            batch.add(token, place, [0], True)
        context.decode(batch)
        return np.array([context.get_logits_ith(place) for place in range(len(ids))], dtype=np.float32)
