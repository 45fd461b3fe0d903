"""What the server lets through, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra tgl[browser] is not installed")
from index_mini import write_index
from starlette.testclient import TestClient

from stages.core.browser.app import build_app
from stages.core.browser.guard import HEADERS, MOST_BODY_BYTES
from stages.core.browser.pages import page_files
from stages.core.browser.videos import MOST_FRAME_BYTES
from stages.tools.view.config import ViewConfig, ViewInputs
from stages.tools.view.run import open_session

TOKEN, TICKET = "t" * 43, "k" * 43
"""As long as those that are drawn; these are not, since names of tests hold them, and all processes
that share the tests must find the same names."""
HOME = "http://127.0.0.1:8765"
COOKIE = "tgl_8765"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OWN = {**BEARER, "Origin": HOME}


class Recorder:
    """Content that keeps the actions it gets."""

    def __init__(self, session: Any):
        self._session = session
        self.actions: list[Mapping[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def act(self, number: int, action: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an action."""
        self.actions.append(action)
        return {"n": number}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small index."""
    return write_index(tmp_path_factory.mktemp("guard") / "index")


@pytest.fixture
def content(index: Path) -> Recorder:
    """The content of view, with actions."""
    return Recorder(open_session(ViewConfig(), ViewInputs(index), pytest.fail))


@pytest.fixture
def client(content: Recorder) -> Iterator[TestClient]:
    """A client without token; redirects are not followed."""
    app = build_app(content, TOKEN, TICKET, COOKIE)
    with TestClient(app, base_url=HOME, follow_redirects=False) as found:
        yield found


def test_the_token_of_the_address_becomes_a_cookie(client: TestClient) -> None:
    entered = client.get(f"/?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert cookie == f"{COOKIE}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert client.get("/").status_code == 200
    assert client.get("/api/session").json()["mode"] == "view"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TICKET}"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"other={TOKEN}"},
        {"Cookie": "\x00;=;,"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/api/session", "/api/video/0/frame/0", "/page/index.html"])
def test_nothing_without_the_token(client: TestClient, path: str, headers: dict[str, str]) -> None:
    assert client.get(path, headers=headers).status_code == 403


def test_a_ticket_is_good_for_one_entry(client: TestClient) -> None:
    entered = client.get(f"/?token={TICKET}")
    assert entered.status_code == 303
    assert TICKET not in entered.headers["set-cookie"]
    assert client.get("/api/session").status_code == 200
    client.cookies.clear()
    assert client.get(f"/?token={TICKET}").status_code == 403
    assert client.get("/?token=").status_code == 403
    assert client.get("/api/session", headers={"Authorization": "Bearer "}).status_code == 403


def test_a_wrong_token_in_the_address_is_refused(client: TestClient) -> None:
    many = "&".join(f"x{n}=1" for n in range(20))
    queries = ("token=wrong", "token=", "x=1", f"token=a&token={TOKEN}", f"{many}&token={TOKEN}")
    for query in (*queries, "token=%ff%00", "token=\u00e9"):
        answer = client.get(f"/?{query}")
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_link_on_another_site_comes_back_from_this_one(client: TestClient) -> None:
    answer = client.get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert '<script src="/page/return.js"></script>' in answer.text
    script = client.get("/page/return.js", headers=BEARER)
    assert "location.reload()" in script.text
    assert client.get("/", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::1]:8765"]
)
def test_other_hosts_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/session", headers={**BEARER, "Host": host})
    assert answer.status_code == 403
    assert "wrong host" in answer.json()["error"]


def test_a_forwarded_port_is_another_host_of_the_same_name(client: TestClient) -> None:
    there = {**BEARER, "Host": "localhost:9000"}
    assert client.get("/api/session", headers=there).status_code == 200
    own = {**there, "Origin": "http://localhost:9000"}
    assert client.post("/api/sentence/0/actions", json={}, headers=own).status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:9", "https://127.0.0.1:8765"]
)
def test_actions_of_other_origins_are_refused(
    client: TestClient, content: Recorder, origin: str | None
) -> None:
    headers = BEARER if origin is None else {**BEARER, "Origin": origin}
    answer = client.post("/api/sentence/0/actions", json={}, headers=headers)
    assert answer.status_code == 403
    assert content.actions == []


def test_a_form_is_no_action(client: TestClient, content: Recorder) -> None:
    kinds = ("text/plain", "application/x-www-form-urlencoded", "")
    for kind in kinds:
        headers = {**OWN, "Content-Type": kind}
        answer = client.post("/api/sentence/0/actions", content=b"{}", headers=headers)
        assert answer.status_code == 415
    for body in (b"", b"[]", b"{", b"[" * 100_000, b"\xff"):
        headers = {**OWN, "Content-Type": "application/json"}
        answer = client.post("/api/sentence/0/actions", content=body, headers=headers)
        assert answer.status_code == 400
    assert content.actions == []


def test_a_large_body_is_refused_however_it_comes(client: TestClient, content: Recorder) -> None:
    body = b" " * (MOST_BODY_BYTES + 1)
    headers = {**OWN, "Content-Type": "application/json"}
    whole = client.post("/api/sentence/0/actions", content=body, headers=headers)
    pieces = iter([body[:1000], body[1000:]])
    chunked = client.post("/api/sentence/0/actions", content=pieces, headers=headers)
    assert (whole.status_code, chunked.status_code) == (413, 413)
    assert content.actions == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/video/../0",
        "/api/video/%2e%2e/frame/0",
        "/api/video/0/frame/..%2f..%2findex",
        "/api/video/-1",
        "/api/video/1e3",
        "/api/video/²",
        "/api/video/99",
        "/api/video/0/frame/8",
        "/api/video/9999999999999999999999",
        "/api/sentence/6",
        "/api/video/0/mask/1?sentence=0&start=0&end=2",
        "/api/video/1/mask/0?sentence=0&start=0&end=2",
        "/api/video/0/mask/0?sentence=99&start=0&end=2",
        "/api/sentence/0/prediction/0/masks?start=0&end=1",
        "/page/../app.py",
        "/page/..%2fapp.py",
        "/page/%2fetc%2fpasswd",
        "/page/",
        "/etc/passwd",
    ],
)
def test_only_known_numbers_and_files(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=BEARER)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]


def test_a_range_of_masks_is_bounded(client: TestClient) -> None:
    for query in ("start=0&end=65", "start=3&end=3", "start=4&end=3"):
        answer = client.get(f"/api/video/0/mask/0?sentence=0&{query}", headers=BEARER)
        assert answer.status_code == 400


def test_every_answer_has_the_headers(client: TestClient) -> None:
    answers = [
        client.get("/", headers=BEARER),
        client.get("/", headers={"Sec-Fetch-Site": "cross-site"}),
        client.get("/api/session"),
        client.get("/api/sentences", headers=BEARER),
        client.get("/api/video/1/frame/0", headers=BEARER),
        client.get("/nothing", headers=BEARER),
        client.post("/api/session", json={}, headers=OWN),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 403, 200, 200, 404, 405]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'self';")


def test_frames_are_the_files(client: TestClient, index: Path) -> None:
    answer = client.get("/api/video/1/frame/2?k=1", headers=BEARER)
    assert answer.content == (index.parent / "index-frames/b/00002.jpg").read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"


def test_a_frame_that_cannot_be_read_is_one_line(client: TestClient, index: Path) -> None:
    lost, folder, huge = (index.parent / f"index-frames/a/0000{n}.jpg" for n in range(3))
    lost.unlink()
    folder.unlink()
    folder.mkdir()
    with huge.open("r+b") as file:
        file.truncate(MOST_FRAME_BYTES + 1)
    for frame, status, message in (
        (0, 404, f"{lost.name}: the frame is missing"),
        (1, 500, f"{folder.name}: is a folder, a regular file is needed"),
        (2, 500, f"{huge.name}: has more than 67,108,864 bytes"),
    ):
        answer = client.get(f"/api/video/0/frame/{frame}", headers=BEARER)
        assert answer.status_code == status
        assert answer.json()["error"].endswith(f"index-frames/a/{message}")


def test_the_page_has_no_inline_code_and_no_foreign_address(client: TestClient) -> None:
    for name, page in page_files().items():
        text = page.content.decode()
        answer = client.get(f"/page/{name}", headers=BEARER)
        assert answer.content == page.content
        assert answer.headers["content-type"].startswith(page.kind)
        for foreign in ("https://", "//cdn", "<style", " style=", "javascript:", " onclick="):
            assert foreign not in text, f"{name}: {foreign}"
