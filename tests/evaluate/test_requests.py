import pytest

from mai1.evaluate.requests import Beginning, TextEncoder
from mai1.tokenizer.tokenizer import Tokenizer


def test_context_and_continuation_together_are_the_whole_text(tokenizer: Tokenizer):
    texts = TextEncoder(tokenizer)
    for context, continuation in (
        ("The statement is", " a name"),
        ("ends with spaces  ", "x"),
        ("", "alone"),
        ("ab", "c d"),
    ):
        request = texts.request(context, continuation)
        ids = [*(request.context if context.strip() else ()), *request.continuation]
        assert tokenizer.decode(ids) == context + continuation


def test_spaces_at_the_end_of_a_context_go_with_the_continuation(tokenizer: Tokenizer):
    texts = TextEncoder(tokenizer)
    assert texts.request("The statement ", "is") == texts.request("The statement", " is")


def test_what_stands_before_a_text_is_as_told(tokenizer: Tokenizer):
    end = tokenizer.end_of_text_id
    stock, document = (TextEncoder(tokenizer, beginning) for beginning in Beginning)
    assert document.request("a b", " c").context == (end, *stock.request("a b", " c").context)
    assert document.prompt("a b") == [end, *stock.prompt("a b")]
    assert stock.request("", "c").context == document.request("", "c").context == (end,)
    assert stock.prompt("") == [end]


@pytest.mark.parametrize("max_length", [1, 2, 7, 50, 1000])
def test_windows_ask_for_every_id_once_and_give_as_much_before_it_as_fits(tokenizer: Tokenizer, max_length: int):
    text = "The assignment statement binds names to values, and may modify attributes of mutable objects. " * 3
    ids, asked = tokenizer.encode(text), []
    for window in TextEncoder(tokenizer).windows(text, max_length=max_length):
        assert len(window.context) + len(window.continuation) - 1 <= max_length
        if asked:
            assert len(window.context) + len(window.continuation) - 1 == max_length
        whole = [tokenizer.end_of_text_id, *ids]
        end = len(asked) + 1
        assert whole[end - len(window.context) : end] == list(window.context)
        asked += window.continuation
    assert asked == ids


def test_nothing_to_ask_for_is_refused(tokenizer: Tokenizer):
    with pytest.raises(ValueError, match="the continuation '' has no token of its own"):
        TextEncoder(tokenizer).request("context", "")
    assert list(TextEncoder(tokenizer).windows("", max_length=5)) == []
