"""The page on which a person judges: blind, safe against other sites, and nothing in it can run."""

import http.client
import threading
from urllib.parse import urlencode, urlsplit

import pytest

from mai1.arena.battles import Battle, Prompt
from mai1.arena.web import WebArena

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> \"' </pre>"
BATTLES = [
    Battle(
        Prompt(str(n), [{"role": "user", "content": f"q{n} {HOSTILE}"}]),
        "zebra",
        "koala",
        f"left{n} {HOSTILE}",
        f"right{n}",
    )
    for n in range(2)
]


@pytest.fixture
def arena():
    kept = []
    made = WebArena(list(BATTLES), kept.append)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made, kept
    made.num_judged = len(made.battles)
    ask(made, "GET", "/")
    thread.join(5)


def ask(arena: WebArena, method: str, path: str, form: dict | None = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", arena.server.server_port, timeout=60)
    body = urlencode(form) if form is not None else None
    if body is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read().decode()
    except (ConnectionError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()


def judged(arena: WebArena, verdict: str, number: int, **headers: str) -> int:
    form = {"token": arena.token, "battle": number, "verdict": verdict}
    return ask(arena, "POST", "/judge", form, **headers)[0].status


def test_judgements_are_kept_one_after_the_other(arena):
    arena, kept = arena
    page = ask(arena, "GET", f"/?token={arena.token}")[1]
    assert "q0" in page and "left0" in page and "right0" in page and "1 of 2" in page
    assert judged(arena, "right", 0) == 303
    assert "q1" in ask(arena, "GET", f"/?token={arena.token}")[1]
    assert judged(arena, "right", 0) == 303  # the button pressed twice
    assert [each.verdict for each in kept] == ["right"]
    assert (kept[0].left, kept[0].right, kept[0].judge) == ("zebra", "koala", "person")


def test_the_page_is_blind_and_nothing_of_a_text_is_markup(arena):
    arena, _ = arena
    response, page = ask(arena, "GET", f"/?token={arena.token}")
    assert "zebra" not in page and "koala" not in page
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "http://" not in page and "https://" not in page and "src=" not in page.replace("&lt;img src=", "")


def test_without_the_token_nothing_is_shown_or_kept(arena):
    arena, kept = arena
    for path in ("/", "/?token=wrong", f"/?token={arena.token}x", "/judge", "/../etc/passwd"):
        response, page = ask(arena, "GET", path)
        assert response.status == 403 and "left0" not in page
    form = {"token": "wrong", "battle": 0, "verdict": "left"}
    assert ask(arena, "POST", "/judge", form)[0].status == 403
    assert not kept


def test_another_site_cannot_judge_nor_read(arena):
    arena, kept = arena
    assert judged(arena, "left", 0, Origin="http://evil.example") == 403
    assert judged(arena, "left", 0, Host="evil.example") == 403
    response, page = ask(arena, "GET", f"/?token={arena.token}", Host=f"evil.example:{arena.server.server_port}")
    assert response.status == 403 and "left0" not in page
    assert not kept


@pytest.mark.parametrize("form", [{"verdict": "both"}, {"verdict": ""}, {"battle": "-1"}, {"battle": "x"}])
def test_what_is_no_judgement_is_refused(arena, form: dict):
    arena, kept = arena
    sent = {"token": arena.token, "battle": 0, "verdict": "left"} | form
    assert ask(arena, "POST", "/judge", sent)[0].status == 400 and not kept


def test_a_form_that_is_too_long_is_not_read(arena):
    arena, kept = arena
    connection = http.client.HTTPConnection("127.0.0.1", arena.server.server_port, timeout=60)
    connection.request("POST", "/judge", headers={"Content-Length": str(10**12)})
    assert connection.getresponse().status == 403 and not kept
    connection.close()


def test_it_listens_on_this_machine_alone_and_ends_when_all_is_judged():
    kept = []
    made = WebArena(list(BATTLES), kept.append)
    assert urlsplit(made.address).hostname == "127.0.0.1" and made.server.server_address[0] == "127.0.0.1"
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    assert [judged(made, "tie", 0), judged(made, "skip", 1)] == [303, 200]
    thread.join(5)
    assert not thread.is_alive() and [each.verdict for each in kept] == ["tie", "skip"]
    assert "All battles are judged" in made.page()


def test_a_port_that_is_taken_is_named():
    first = WebArena(list(BATTLES), print)
    with pytest.raises(ValueError, match=rf"web\.port={first.server.server_port} cannot be used"):
        WebArena(list(BATTLES), print, port=first.server.server_port)
    first.server.server_close()
