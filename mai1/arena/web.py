"""A person judges in the browser: a page on 127.0.0.1 that shows one battle at a time, without names.

Only this machine reaches it. Every request must carry the token of the address that was printed, name this host (so that no
other site's name can be pointed here), and a judgement must come from this page. Nothing is loaded from anywhere.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs

from mai1.arena.battles import Battle, Judgement, Verdict
from mai1.arena.judges import judgement_of
from mai1.report.markup import Markup, element, escape, join
from mai1.report.style import STYLE

HOST = "127.0.0.1"
MAX_FORM, MAX_DIGITS = 4096, 4
SHEET = """
form { display: flex; flex-wrap: wrap; gap: 10px; margin: 24px 0 0; padding: 12px 0; position: sticky; bottom: 0;
  background: var(--paper); border-top: 1px solid var(--hair); }
h4 { font-size: 13px; font-weight: 600; margin: 18px 0 0; } .sides pre { max-height: 70vh; }
button { font: inherit; padding: 8px 18px; border: 1px solid var(--faint); border-radius: 6px; background: var(--wash);
  color: var(--ink); cursor: pointer; }
button:hover { border-color: var(--ink); }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
BUTTONS = {"left": "A is better", "right": "B is better", "tie": "tie", "skip": "skip"}
TIMEOUT_S = 10
"""Longest wait for the rest of a request."""

LOOK_S = 0.2
"""How often is looked whether the last battle is judged."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection: browsers open some that ask nothing, which would keep all others waiting."""

    daemon_threads = False
    timeout = LOOK_S


@dataclass(slots=True)
class WebArena:
    """The open battles, and what to do with each judgement."""

    battles: list[Battle]
    keep: Callable[[Judgement], None]
    port: int = 0
    """0: any that is free."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    server: HTTPServer = field(init=False)
    num_judged: int = 0
    failure: OSError | None = None
    """Why the last judgement could not be kept; the page ends with it."""
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        try:
            self.server = _Server((HOST, self.port), _handler(self))
        except OSError as error:
            raise ValueError(
                f"web.port={self.port} cannot be used ({error.strerror}): choose another, or 0 for any"
            ) from None

    @property
    def address(self) -> str:
        """What to open."""
        return f"http://{HOST}:{self.server.server_port}/?token={self.token}"

    def serve(self) -> None:
        """Until every battle is judged. OSError where a judgement cannot be kept: the disk is full."""
        try:
            while self.num_judged < len(self.battles) and self.failure is None:
                self.server.handle_request()
        finally:
            self.server.server_close()
        if self.failure is not None:
            raise self.failure

    def judge(self, number: int, verdict: Verdict) -> None:
        """Keep the judgement of the battle that is being shown; one that was sent twice counts once."""
        with self.lock:
            if number == self.num_judged < len(self.battles):
                self.keep(judgement_of(self.battles[number], verdict, judge="person"))
                self.num_judged += 1

    def page(self) -> str:
        """The battle that is next, or that there is none."""
        head = join(
            [
                Markup('<meta charset="utf-8"><meta name="color-scheme" content="light dark">'),
                Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
                element("title", "arena"),
                element("style", Markup(STYLE + SHEET)),
            ]
        )
        number = self.num_judged
        if number == len(self.battles):
            body = element("p", "All battles are judged. This page can be closed.")
        else:
            body = self._battle(number)
        return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{element("main", body)}</body></html>\n'

    def _battle(self, number: int) -> Markup:
        battle = self.battles[number]
        asked = [
            join([element("h4", message["role"]), _text(message["content"])]) for message in battle.prompt.messages
        ]
        sides = [
            element("div", element("h4", name), _text(answer))
            for name, answer in (("A", battle.left_answer), ("B", battle.right_answer))
        ]
        hidden = [
            Markup(f'<input type="hidden" name="{name}" value="{escape(str(value))}">')
            for name, value in (("token", self.token), ("battle", number))
        ]
        buttons = [element("button", text, name="verdict", value=verdict) for verdict, text in BUTTONS.items()]
        form = element("form", *hidden, *buttons, method="post", action="/judge")
        count = element("p", f"{number + 1} of {len(self.battles)}", class_="caption")
        return join([count, *asked, element("div", *sides, class_="sides"), form])


def _text(text: str) -> Markup:
    """The whole of it; nobody should have to guess whether an empty box has not loaded."""
    return element("pre", text if text.strip() else element("span", "no visible text", class_="quiet"))


def _handler(arena: WebArena) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            token = parse_qs(query).get("token", [""])[0]
            if path != "/" or not self._is_here() or not _is_equal(token, arena.token):
                self._answer(403, "Open the address that the terminal shows.")
            else:
                self._answer(200, arena.page())

        def do_POST(self) -> None:
            form = self._form()
            is_own = self.headers.get("Origin", "") in ("", "null", f"http://{HOST}:{arena.server.server_port}")
            if (
                self.path != "/judge"
                or not self._is_here()
                or not is_own
                or not _is_equal(form.get("token", ""), arena.token)
            ):
                self._answer(403, "Open the address that the terminal shows.")
                return
            if form.get("verdict") not in BUTTONS or not form.get("battle", "").isdecimal():
                self._answer(400, "That is no judgement.")
                return
            try:
                arena.judge(int(form["battle"]), Verdict(form["verdict"]))
            except OSError as error:
                arena.failure = error
                self._answer(
                    500, f"This judgement could not be kept ({error.strerror}); those before are. See the terminal."
                )
                return
            if arena.num_judged == len(arena.battles):  # nobody answers a further request
                self._answer(200, arena.page())
                return
            self.send_response(303)
            self.send_header("Location", f"/?token={arena.token}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _is_here(self) -> bool:
            port = arena.server.server_port
            return self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}")

        def _form(self) -> dict[str, str]:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > MAX_FORM:
                return {}
            try:
                fields = parse_qs(self.rfile.read(int(length)).decode("utf-8", errors="replace"), max_num_fields=8)
            except ValueError:  # more fields than that
                return {}
            return {name: values[0] for name, values in fields.items()}

        def _answer(self, status: int, text: str) -> None:
            content = text.encode("utf-8", errors="replace")
            self.send_response(status)
            self.send_header(
                "Content-Type", "text/html; charset=utf-8" if status == 200 else "text/plain; charset=utf-8"
            )
            for name, value in (
                ("Content-Security-Policy", POLICY),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "same-origin"),
                ("Cache-Control", "no-store"),
                ("Content-Length", str(len(content))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing: the address holds the token."""

    return Handler


def _is_equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
