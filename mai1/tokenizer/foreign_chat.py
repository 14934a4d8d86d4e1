"""Conversations by somebody else's chat template to ids and a loss mask, found in two ways that must agree.

Where an answer stands is known from prefixes: the conversation before it, rendered with the prompt for an answer, must
begin the conversation rendered with it, and that must begin the whole. A template with `{% generation %}` tags also says it
itself, and then both must say the same. From an answer are left out, either way: empty reasoning (`<think></think>`), which
is no answer, and white space behind the control token that ends it, which is never generated.
"""

import re

from mai1.tokenizer.chat_template import ChatTemplate, Rendered
from mai1.tokenizer.chat_tokens import ChatTokens, Learn, learned_answers
from mai1.tokenizer.foreign import ForeignModel
from mai1.tokenizer.marked_text import encode_marked, mark

EMPTY_REASONING = re.compile(r"\s*<think>\s*</think>\s*")
Span = tuple[int, int]


def encode_prompt(model: ForeignModel, messages: list[dict], *, tools: list[dict] | None = None) -> list[int]:
    """Ids of a conversation up to where the next answer begins."""
    template, seen = _template(model), _marked(model, messages)
    [rendered] = template.render(seen, [(len(seen), True)], tools=mark(tools, model.control_tokens))
    return [piece.token_id for piece in encode_marked(model, rendered.text)]


def encode_foreign_chat(
    model: ForeignModel, messages: list[dict], *, tools: list[dict] | None = None, learn: Learn = Learn.all
) -> ChatTokens:
    """Ids and mask of a conversation; ValueError where the two ways disagree or nothing, or everything, were learned.

    The ids are those of transformers' `apply_chat_template(sanitize_control_tokens=True)`, with the token that ends an
    answer behind the last one where the template leaves that to the next message.
    """
    template, seen = _template(model), _marked(model, messages)
    learned = learned_answers(messages, learn)
    cuts = [(len(seen), False)] + [cut for k in learned for cut in ((k, True), (k + 1, False))]
    whole, *parts = template.render(seen, cuts, tools=mark(tools, model.control_tokens))
    answers = [
        _by_prefixes(template, number, whole.text, before.text, after.text)
        for number, before, after in zip(learned, parts[::2], parts[1::2], strict=True)
    ]
    spans = [_trimmed(model, whole.text, answer) for answer in answers]
    if template.has_generation:
        num_answers = sum(message["role"] == "assistant" for message in messages)
        _check_tags(template, whole, answers, spans, are_all=num_answers == len(learned))
    return _tokens(model, whole.text, spans, ends_with_answer=learned[-1] == len(seen) - 1)


def _by_prefixes(template: ChatTemplate, number: int, whole: str, before: str, after: str) -> Span:
    """From and to which character of the whole an answer stands."""
    if not after.startswith(before):
        raise ValueError(
            f"{template.where} does not begin the answer in message {number} as it asks for one, so what is learned would "
            "not be what is generated: use another template (data.chat_template)"
        )
    if not whole.startswith(after):
        raise ValueError(
            f"{template.where} writes the answer in message {number} in another way once the conversation goes on, so one row "
            "cannot teach every answer: use data.learn=last, which learns the last answer of each conversation"
        )
    return len(before), len(after)


def _trimmed(model: ForeignModel, text: str, answer: Span) -> Span:
    """An answer without empty reasoning in front and without white space behind the control token that ends it."""
    start, end = answer
    if empty := EMPTY_REASONING.match(text, start, end):
        start = empty.end()
    said = text[start:end].rstrip()
    return (start, start + len(said)) if said.endswith(tuple(model.special)) else (start, end)


def _check_tags(
    template: ChatTemplate, whole: Rendered, answers: list[Span], spans: list[Span], *, are_all: bool
) -> None:
    """The template's tags must mark each learned answer to its end, and nothing that is no answer."""
    for start, end in spans:
        marked = "".join(whole.text[max(a, start) : min(b, end)] for a, b in whole.spans)
        if marked != whole.text[start:end]:
            raise ValueError(
                f"{template.where} has generation tags around {marked[:60]!r} where an answer is "
                f"{whole.text[start:end][:60]!r}: put them around all of it, with the token that ends it"
            )
    for a, b in whole.spans:
        touched = [(start, end) for start, end in answers if a < end and b > start]
        is_inside = len(touched) == 1 and touched[0][0] <= a and b <= touched[0][1]
        if a < b and not is_inside and (touched or are_all):
            raise ValueError(
                f"{template.where} has generation tags around {whole.text[a:b][:60]!r}, which is not one answer: put them "
                "around what is generated and nothing else"
            )


def _tokens(model: ForeignModel, text: str, spans: list[Span], *, ends_with_answer: bool) -> ChatTokens:
    """Tokens that stand in an answer whole are learned, and the control token that ends it, also where it begins what follows.

    In GLM's template `<|user|>` ends an answer; behind the last one it is added.
    """
    pieces = encode_marked(model, text)
    mask = [0] * len(pieces)
    for start, end in spans:
        inside = [i for i, piece in enumerate(pieces) if piece.start >= start and start < piece.end <= end]
        if not inside:
            raise ValueError("an answer of the conversation is empty: nothing could be learned from it")
        behind = inside[-1] + 1
        mask[inside[0] : behind] = [1] * (behind - inside[0])
        is_ended = text[start:end].endswith(tuple(model.special))
        if not is_ended and behind < len(pieces):
            mask[behind] = int(pieces[behind].token_id in model.stop_ids)
    ids = [piece.token_id for piece in pieces]
    if all(mask):
        raise ValueError("every token of the conversation would be learned, the question too: correct the template")
    if ends_with_answer and not is_ended and model.turn_end_id is not None:
        return ChatTokens([*ids, model.turn_end_id], [*mask, 1])
    return ChatTokens(ids, mask)


def _template(model: ForeignModel) -> ChatTemplate:
    if model.template is None:
        raise ValueError(f"{model.where} has no chat template: name one with data.chat_template")
    return model.template


def _marked(model: ForeignModel, messages: list[dict]) -> list[dict]:
    """Messages as the template sees them; no text of a person is a control token, no text of an answer a special one."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list with at least one message")
    seen = []
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ValueError(f"messages[{number}] must be an object with role and content")
        is_answer = message["role"] == "assistant"
        content = message.get("content") or ""
        if is_answer and not message.get("tool_calls") and not (isinstance(content, str) and content.strip()):
            raise ValueError(
                f"messages[{number}].content of the assistant must not be empty: nothing could be learned from it"
            )
        names = model.special if is_answer else model.control_tokens
        seen.append(mark({key: value for key, value in message.items() if key != "train"}, names))
    return seen
