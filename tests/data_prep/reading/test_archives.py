import gzip
import zlib
from pathlib import Path

import pytest

from data_prep.document import Dropped
from data_prep.reading import archives
from data_prep.reading.slices import Bad

pytest.importorskip("fastwarc")


ZIPPED = gzip.compress(b"<p>x</p>", mtime=0)


def record(kind: str, url: str, content: bytes) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype={kind}\r\n"
    )
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content + b"\r\n\r\n"


def response(url: str, body: bytes, *headers: str, status: str = "200 OK", media_type: str = "text/html") -> bytes:
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {media_type}"] if media_type else []), *headers]
    return record("response", url, "\r\n".join([*lines, "", ""]).encode() + body)


def conversion(url: str, text: bytes) -> bytes:
    return record("conversion", url, text).replace(b"application/http; msgtype=conversion", b"text/plain")


def write(path: Path, *records: bytes) -> Path:
    members = [gzip.compress(each) for each in records] if path.name.endswith(".gz") else records
    path.write_bytes(b"".join(members))
    return path


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.wet.gz"])
def test_pages_and_conversions_are_read_with_their_addresses(tmp_path: Path, read, name: str):
    records = [
        record("warcinfo", "", b"software: none\r\n"),
        record("request", "http://a/1", b"GET / HTTP/1.1\r\n\r\n"),
        response("http://a/1", b"<p>\xe9</p>", media_type="text/html; charset=ISO-8859-1"),
        response("http://a/2", b"<p>x</p>", media_type="application/xhtml+xml"),
        conversion("http://a/3", "na\u00efve".encode()),
    ]
    first, second, third = read(write(tmp_path / name, *records))
    assert (first.markup, first.url, first.labels) == (b"<p>\xe9</p>", "http://a/1", {"charset": "iso-8859-1"})
    assert (second.markup, second.url, second.labels) == (b"<p>x</p>", "http://a/2", {})
    assert (third.text, third.url, third.markup) == ("na\u00efve", "http://a/3", b"")
    begin = sum(map(len, records[:2]))
    assert first.name == f"{tmp_path / name}@{begin}"


def test_what_is_no_page_is_dropped_with_what_it_was(tmp_path: Path, read):
    outcomes = read(
        write(
            tmp_path / "a.warc",
            response("http://a/1", b"\x89PNG", media_type="image/png"),
            response("http://a/2", b"<p>gone</p>", status="404 Not Found"),
            response("http://a/3", b"<p>x</p>", "Server: x", media_type=""),
        )
    )
    assert all(isinstance(outcome, Dropped) and outcome.reason == "input.not_html" for outcome in outcomes)
    assert [outcome.detail for outcome in outcomes] == [
        "status 200, image/png",
        "status 404, text/html",
        "status 200, no type",
    ]
    assert [outcome.document.url for outcome in outcomes] == ["http://a/1", "http://a/2", "http://a/3"]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b"<p>x</p>", mtime=0), ["Content-Encoding: gzip"]),
        (zlib.compress(b"<p>x</p>"), ["Content-Encoding: deflate"]),
        (raw_deflate(b"<p>x</p>"), ["Content-Encoding: deflate"]),
        (b"<p>x</p>", ["Content-Encoding: gzip"]),
        (b"3\r\n<p>\r\n5;x=y\r\nx</p>\r\n0\r\n\r\n", ["Transfer-Encoding: chunked"]),
        (b"<p>x</p>", ["Transfer-Encoding: chunked"]),
        (
            b"1c\r\n" + gzip.compress(b"<p>x</p>", mtime=0) + b"\r\n0\r\n\r\n",
            ["Transfer-Encoding: chunked", "Content-Encoding: gzip"],
        ),
    ],
)
def test_what_servers_did_to_a_body_is_undone(tmp_path: Path, read, body: bytes, headers: list[str]):
    (document,) = read(write(tmp_path / "a.warc", response("http://a", body, *headers)))
    assert document.markup == b"<p>x</p>"


def test_a_bad_record_does_not_end_the_archive(tmp_path: Path, read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "MAX_PAGE_BYTES", 100_000)
    path = write(
        tmp_path / "a.warc.gz",
        response("http://a/1", gzip.compress(b" " * 1_000_000), "Content-Encoding: gzip"),
        response("http://a/2", b"x" * 200_000),
        response("http://a/3", b"\x1f\x8bnonsense", "Content-Encoding: gzip"),
        response("http://a/4", b"?", "Content-Encoding: br"),
        conversion("http://a/5", b"caf\xe9"),
        record("response", "http://a/6", b"no http at all"),
        response("http://a/7", b"<p>good</p>"),
    )
    *bad, good = read(path)
    assert good.markup == b"<p>good</p>"
    reasons = [
        "input.bomb",
        "input.too_large",
        "input.broken_gzip",
        "input.unreadable",
        "input.not_utf8",
        "input.not_html",
    ]
    assert [outcome.reason for outcome in bad] == reasons
    assert bad[0].name == f"{path}@0" and "content encoding 'br' is not known" in bad[3].detail


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_an_archive_that_is_cut_or_broken_gives_what_stands_before(tmp_path: Path, read, name: str):
    path = write(tmp_path / name, *[response(f"http://a/{number}", b"<p>%d</p>" % number * 50) for number in range(20)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    *pages, last = read(path)
    assert len(pages) >= 8 and isinstance(last, Bad) and last.reason == "input.truncated"
    middle = len(data) // 2
    path.write_bytes(data[:middle] + b"\xff" * 5000 + data[middle:])
    *pages, last = read(path)
    assert len(pages) >= 8 and last.reason in ("input.broken_warc", "input.broken_gzip", "input.truncated")
