"""Conversations to token ids and a loss mask.

    <|endoftext|><|user|>Hello<|end|><|assistant|>Hi there.<|end|>

Control tokens touch the content directly, so a Hugging Face tokenizer that renders `CHAT_TEMPLATE` to one string and
cuts it at its special tokens gets the same ids. What a message says is raw text and can never become a control token.
"""

from dataclasses import dataclass

from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.vocabulary import END_OF_MESSAGE

ROLES = ("system", "user", "assistant", "tool")

CHAT_TEMPLATE = (
    "{{- '<|endoftext|>' -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] not in ['system', 'user', 'assistant', 'tool'] -%}"
    "{{- raise_exception('role must be system, user, assistant or tool') -}}"
    "{%- endif -%}"
    "{%- if message['content'] is not string -%}"
    "{{- raise_exception('content must be a string') -}}"
    "{%- endif -%}"
    "{{- '<|' + message['role'] + '|>' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- message['content'] + '<|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}"
    "{{- message['content'] + '<|end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


@dataclass(slots=True)
class ChatTokens:
    """One conversation as ids; both lists have the same length."""

    ids: list[int]
    loss_mask: list[int]
    """1 on what the assistant says and on the `<|end|>` that closes it."""


def encode_chat(tokenizer: Tokenizer, messages: list[dict], *, add_generation_prompt: bool = False) -> ChatTokens:
    """Ids and mask of a conversation; ValueError for one that nothing could be learned from.

    With `add_generation_prompt` the conversation ends with `<|assistant|>` and need not hold an answer yet.
    """
    _check_messages(messages, needs_assistant=not add_generation_prompt)
    end_id = tokenizer.vocabulary.control_id(END_OF_MESSAGE)
    chat = ChatTokens([tokenizer.end_of_text_id], [0])
    for message, content in zip(messages, tokenizer.encode_batch([m["content"] for m in messages]), strict=True):
        learned = int(message["role"] == "assistant")
        chat.ids += [_role_id(tokenizer, message["role"]), *content, end_id]
        chat.loss_mask += [0] + [learned] * (len(content) + 1)
    if add_generation_prompt:
        chat.ids.append(_role_id(tokenizer, "assistant"))
        chat.loss_mask.append(0)
    return chat


def _role_id(tokenizer: Tokenizer, role: str) -> int:
    return tokenizer.vocabulary.control_id(f"<|{role}|>")


def _check_messages(messages: list[dict], *, needs_assistant: bool) -> None:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list with at least one message")
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise ValueError(f"{where} must be an object with role and content, but is {type(message).__name__}")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise ValueError(f"{where}.role={role!r} must be one of {', '.join(ROLES)}")
        if not isinstance(content, str):
            raise ValueError(f"{where}.content must be a string, but is {type(content).__name__}")
        if role == "assistant" and not content.strip():
            raise ValueError(f"{where}.content of the assistant must not be empty: nothing could be learned from it")
    if needs_assistant and all(message["role"] != "assistant" for message in messages):
        raise ValueError("messages must hold at least one assistant message: nothing could be learned from them")
