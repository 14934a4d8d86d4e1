"""Conversations to token ids and a loss mask.

    <|endoftext|><|user|>Hello<|end|><|assistant|>Hi there.<|end|>

Control tokens touch the content directly, so a Hugging Face tokenizer that renders `CHAT_TEMPLATE` to one string and
cuts it at its special tokens gets the same ids. What a message says is raw text and can never become a control token.
A foreign tokenizer has a chat template of its own (`foreign_chat.py`).
"""

from mai1.tokenizer.chat_tokens import ChatTokens, Learn, learned_answers
from mai1.tokenizer.foreign_chat import encode_foreign_chat, encode_prompt
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


def encode_chat(
    tokenizer: Tokenizer,
    messages: list[dict],
    *,
    tools: list[dict] | None = None,
    add_generation_prompt: bool = False,
    learn: Learn = Learn.all,
) -> ChatTokens:
    """Ids and mask of a conversation; ValueError for one that nothing could be learned from.

    With `add_generation_prompt` the conversation ends as an answer begins and need not hold an answer yet. `tools` are
    definitions for a foreign chat template; for ours they are text in the messages (`mai1/data/conversation_shapes.py`).
    """
    if tokenizer.is_foreign:
        if add_generation_prompt:
            return ChatTokens(ids := encode_prompt(tokenizer.model, messages, tools=tools), [0] * len(ids))
        return encode_foreign_chat(tokenizer.model, messages, tools=tools, learn=learn)
    assert not tools, "our own template has tools as text"
    _check_messages(messages)
    learned = set() if add_generation_prompt else set(learned_answers(messages, learn))
    end_id = tokenizer.vocabulary.control_id(END_OF_MESSAGE)
    chat = ChatTokens([tokenizer.end_of_text_id], [0])
    contents = tokenizer.encode_batch([m["content"] for m in messages])
    for number, (message, content) in enumerate(zip(messages, contents, strict=True)):
        chat.ids += [_role_id(tokenizer, message["role"]), *content, end_id]
        chat.loss_mask += [0] + [int(number in learned)] * (len(content) + 1)
    if add_generation_prompt:
        chat.ids.append(_role_id(tokenizer, "assistant"))
        chat.loss_mask.append(0)
    return chat


def _role_id(tokenizer: Tokenizer, role: str) -> int:
    return tokenizer.vocabulary.control_id(f"<|{role}|>")


def _check_messages(messages: list[dict]) -> None:
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
