"""The page on which a person judges: blind, safe against other sites, and nothing in it can run."""

import errno
import http.client
import socket
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


def test_a_connection_that_asks_nothing_keeps_no_other_waiting(arena):
    arena, kept = arena
    with socket.create_connection(("127.0.0.1", arena.server.server_port)) as idle:
        assert "left0" in ask(arena, "GET", f"/?token={arena.token}")[1]
        assert judged(arena, "left", 0) == 303 and len(kept) == 1
        idle.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is still open: nothing had to wait until it was given up
            idle.recv(1)


def test_an_answer_without_visible_text_says_so():
    battle = Battle(Prompt("0", [{"role": "user", "content": "q"}]), "zebra", "koala", " \n", "right")
    made = WebArena([battle], print)
    assert "no visible text" in made.page()
    made.server.server_close()


def test_a_port_that_is_taken_is_named():
    first = WebArena(list(BATTLES), print)
    with pytest.raises(ValueError, match=rf"web\.port={first.server.server_port} cannot be used"):
        WebArena(list(BATTLES), print, port=first.server.server_port)
    first.server.server_close()


def send(arena: WebArena, request: bytes) -> bytes:
    """What comes back to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", arena.server.server_port), timeout=60) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        return link.recv(65536)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET //[ HTTP/1.1\r\nHost: HERE\r\n\r\n",
        b"GET /?" + b"&" * 5000 + b" HTTP/1.1\r\nHost: HERE\r\n\r\n",
        b"POST /judge HTTP/1.1\r\nHost: HERE\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /judge HTTP/1.1\r\nHost: HERE\r\nContent-Length: 17\r\n\r\na&b&c&d&e&f&g&h&i",
        b"POST /judge HTTP/1.1\r\nHost: HERE\r\nContent-Length: 9\r\n\r\ntoken=\xff\xfe\xfd",
    ],
    ids=["address", "fields", "length", "too many fields", "bytes"],
)
def test_hostile_requests_are_refused_without_a_traceback(arena, capfd, request_: bytes):
    arena, kept = arena
    answer = send(arena, request_.replace(b"HERE", f"127.0.0.1:{arena.server.server_port}".encode()))
    assert answer.startswith(b"HTTP/1.0 403") and not kept
    assert capfd.readouterr().err == ""


def test_a_judgement_that_cannot_be_kept_ends_the_page_and_is_not_counted():
    def full(judgement):
        raise OSError(errno.ENOSPC, "No space left on device")

    made, ended = WebArena(list(BATTLES), full), []

    def serve():
        try:
            made.serve()
        except OSError as error:
            ended.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    form = {"token": made.token, "battle": 0, "verdict": "left"}
    response, page = ask(made, "POST", "/judge", form)
    thread.join(60)
    assert response.status == 500 and "could not be kept" in page
    assert ended[0].errno == errno.ENOSPC and made.num_judged == 0
