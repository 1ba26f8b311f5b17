"""The server answers to its own names alone, for pages and WebSockets, and its pages stay by themselves."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDisconnect
from starlette.websockets import WebSocket

from dashboard.server.hosts import Hosts


async def page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("shown")


async def stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("open")
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", page), Route("/health", page), WebSocketRoute("/_stcore/stream", stream)]
    return TestClient(Hosts(Starlette(routes=routes)), base_url="http://localhost:8501")


OWN = ("localhost:8501", "localhost", "LOCALHOST:8501", "127.0.0.1:8501", "[::1]:8501", "localhost.:8501")
FOREIGN = (
    "evil.example:8501", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example@localhost:x",
    "", "0.0.0.0:8501", "169.254.169.254", "localhost:8501, evil.example", "[::ffff:127.0.0.1]:8501", "[",
)  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_an_own_name_is_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).text == "shown"
    with client.websocket_connect("/_stcore/stream", headers={"host": host, "origin": f"http://{host}"}) as socket:
        assert socket.receive_text() == "open"


@pytest.mark.parametrize("host", FOREIGN)
def test_another_name_is_refused_in_a_sentence(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 400
    assert "SOFTH_HOSTS" in answer.text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream", headers={"host": host}):
        pass
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_a_page_of_another_server_opens_no_socket(client: TestClient) -> None:
    for origin in ("http://evil.example", "http://localhost.evil.example:8501", "https://evil.example:8501"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/_stcore/stream", headers={"host": "localhost:8501", "origin": origin}),
        ):
            pass


def test_the_setting_and_the_sign_in_name_more_hosts(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_HOSTS", "plane.lab.example, [fd00::1]")
    assert client.get("/", headers={"host": "Plane.Lab.Example"}).text == "shown"
    assert client.get("/", headers={"host": "[fd00::1]:8501"}).text == "shown"
    assert client.get("/", headers={"host": "lab.example"}).status_code == 400
    monkeypatch.setenv("SOFTH_HOSTS", "*")
    assert client.get("/", headers={"host": "anything.example"}).text == "shown"


def test_only_sites_that_a_setting_names_may_frame_a_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_FRAMES", "https://blog.lab.example, *.evil.example; script-src *, https://*.hf.space")
    headers = client.get("/").headers
    assert "x-frame-options" not in headers
    policy = headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self' https://blog.lab.example https://*.hf.space")
    monkeypatch.setenv("SOFTH_FRAMES", "nonsense")
    assert client.get("/").headers["x-frame-options"] == "DENY"
    assert client.get("/").headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_no_page_is_framed_or_loads_from_elsewhere(client: TestClient) -> None:
    headers = client.get("/").headers
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "img-src 'self' data: blob:;" in policy
    assert "ws://localhost:8501" in policy
    assert "*" not in policy


def test_every_answer_of_the_server_has_the_headers() -> None:
    from server import app

    async def asked(path: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                 "headers": [(b"host", b"evil.example")], "scheme": "http", "server": ("localhost", 8501)}  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent

    for path in ("/", "/metrics", "/_stcore/health", "/static/x.js"):
        assert asyncio.run(asked(path))[0]["status"] == 400
