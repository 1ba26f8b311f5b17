"""Sign-in at a real provider and read-only: who may not start and change anything cannot, by whatever route."""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import oidc_provider_mock
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dashboard.decks import store
from softh import access, jobs
from softh.store import read
from tests.harness import free_port, serving
from tests.protocol import XSRF, Session, session
from tests.tiny import save_model

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
ADA, EVE, MALLORY = "ada@example.org", "eve@example.org", "mallory@elsewhere.example"
TOKEN = "a-token-for-the-metrics"
Cookies = Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """A server with sign-in, and the cookies of those who signed in there."""

    address: str
    data: Path
    starter: Cookies
    viewer: Cookies


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped tables, a deck, a model in a folder; pages start no worker, so that what is queued stays."""
    home = tmp_path_factory.mktemp("service")
    folder = home / "data"
    folder.mkdir()
    shutil.copy(ROOT / "data" / "softh.duckdb", folder)
    save_model(home / "models" / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_DATA", str(folder))
        patch.setenv("SOFTH_CACHE", str(home / "cache"))
        patch.setenv("SOFTH_MODELS", str(home / "models"))
        patch.setenv("SOFTH_WORKER_IDLE", "0")
        # These tests act as the owner of the machine, even where a module before them has run a page in this process.
        access.set_identity_provider(access.Person)
        store.save("talk", [store.Slide("layers", {})])
        yield folder


@pytest.fixture(scope="module")
def service(chromium: Browser, data: Path) -> Iterator[Service]:
    port = free_port()
    with oidc_provider_mock.run_server_in_thread() as provider, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_STARTERS", ADA)
        patch.setenv("SOFTH_VIEWERS", EVE)
        patch.setenv("SOFTH_METRICS_TOKEN", TOKEN)
        secrets = data.parent / "secrets.toml"
        secrets.write_text(
            f'[auth]\nredirect_uri = "http://localhost:{port}/oauth2callback"\ncookie_secret = "{"c" * 40}"\n'
            f'client_id = "softh"\nclient_secret = "secret"\n'
            f'server_metadata_url = "http://localhost:{provider.server_port}/.well-known/openid-configuration"\n'
        )
        with serving(data, "--secrets.files", str(secrets), port=port) as address:
            starter, viewer = (cookies_of(chromium, address, name) for name in (ADA, EVE))
            yield Service(address, data, starter, viewer)


def sign_in(context: BrowserContext, address: str, name: str, path: str = "") -> Page:
    """Through the sign-in page and the provider's own, and back."""
    page = context.new_page()
    page.goto(address + path)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_placeholder("sub").fill(name)
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.wait_for_url(f"{address}/**")
    return page


def cookies_of(chromium: Browser, address: str, name: str) -> Cookies:
    context = chromium.new_context()
    sign_in(context, address, name)
    found = {cookie["name"]: cookie["value"] for cookie in context.cookies()}
    context.close()
    return found


def files(data: Path) -> dict[str, bytes]:
    """Every file of the data folder but SQLite's own beside its database, which readers make as well."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and "jobs.sqlite-" not in path.name and path.name != access.AUDIT
    }


def state(data: Path) -> object:
    return files(data), jobs.listing(data=data)


def answer(url: str, cookies: Cookies, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    """Status of what the server answers."""
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), **headers}
    request = urllib.request.Request(url, body, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.status
    except urllib.error.HTTPError as error:
        return error.code


def upload(address: str, one: Session, cookies: Cookies) -> int:
    """Status of a file sent straight to Streamlit's own endpoint, with the token that a browser would send."""
    token = cookies.get(XSRF) or xsrf(address)
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nwords\r\n--x--\r\n'
    return answer(
        f"{address}/_stcore/upload_file/{one.number}/1", {**cookies, XSRF: token}, "PUT", body,
        **{"X-Xsrftoken": token, "Content-Type": "multipart/form-data; boundary=x"},
    )  # fmt: skip


def xsrf(address: str) -> str:
    with urllib.request.urlopen(f"{address}/_stcore/health", timeout=30) as found:
        return found.headers["Set-Cookie"].partition("=")[2].partition(";")[0]


ASKED = {"way": "Server folder", "documents": "32", "context": "64", "draws": "4"}
PAGES = {"analyze": ASKED, "present": {"deck": "talk"}, "preference": {}, "benchmarks": {}}
"""Pages with something to press → the query that shows it."""


@pytest.fixture(scope="module")
def pressable(service: Service) -> Session:
    """Everything that the starter may press, on every page, with a job in the queue."""
    jobs.submit("estimate", {"model": "waits"}, title="waits", data=service.data)
    with session(service.address, service.starter) as one:
        for page, query in [*PAGES.items()][::-1]:
            one.run(page, query)
    assert {"Estimate", "Cancel these", "Up", "Remove", "Delete it"} <= set(one.buttons.values())
    return one


def attack(address: str, cookies: Cookies, pressable: Session) -> str:
    """Press everything that a starter could, and send a file; all that the server told."""
    told = []
    with session(address, cookies) as one:
        for page, query in PAGES.items():
            told += [one.run(page, query), one.run(page, query, pressable.buttons)]
        told.append(one.run("analyze", ASKED, [name for name, said in pressable.buttons.items() if said == "Estimate"]))
        for fragment in pressable.fragments:
            one.send("analyze", ASKED, pressable.buttons, fragment)
        told.append(one.hear(0.5))
        assert upload(address, one, cookies) == 403
        assert not {"Estimate", "Cancel these", "Delete it"} & set(one.buttons.values())
    assert (
        answer(f"{address}/_stcore/agent/interact", cookies, "POST", b"{}", **{"Content-Type": "application/json"})
        == 403
    )
    return "\n".join(told)


def test_a_starter_signs_in_and_starts_a_job(service: Service, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = sign_in(context, service.address, ADA)
    # A word joiner keeps the address from becoming a link.
    shown = re.compile(f"Signed in as {re.escape(ADA).replace('@', '.?@')}")
    expect(page.get_by_text(shown)).to_be_visible(timeout=30_000)
    page.goto(f"{service.address}/analyze?way=Server+folder&documents=32&context=64&draws=4")
    page.get_by_role("button", name="Estimate", exact=True).click(timeout=30_000)
    expect(page.get_by_text("1 waiting")).to_be_visible(timeout=30_000)
    [job] = jobs.listing(data=service.data)
    assert (job.person, job.state) == (ADA, "queued")
    last = json.loads((service.data / access.AUDIT).read_text(encoding="utf-8").splitlines()[-1])
    assert (last["who"], last["from"], last["what"], last["outcome"]) == (ADA, "page", "submit job", "done")
    with session(service.address, service.starter) as one:
        one.run("analyze")
        assert upload(service.address, one, service.starter) == 204
    jobs.cancel(job.id, service.data)
    page.goto(f"{service.address}/method")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=30_000)
    context.close()


def test_a_viewer_sees_and_cannot_start_or_change_anything(service: Service, pressable: Session) -> None:
    before = state(service.data)
    told = attack(service.address, service.viewer, pressable)
    assert state(service.data) == before
    assert "may look, but not start or change anything" in told
    with session(service.address, service.viewer) as one:
        assert "plotly_chart" in one.run("layers")
        file = one.fetch(one.files[-1])
        assert answer(service.address + file, service.viewer) == 200
        assert answer(service.address + file, {}) == 403


def names(data: Path) -> list[str]:
    return [name for name in read.models(data)["model"].to_list() if len(name) > 4]


@pytest.mark.parametrize("who", ["nobody", "a forger", "a stranger"])
def test_without_a_place_on_the_lists_nothing_is_seen(
    service: Service, chromium: Browser, pressable: Session, who: str
) -> None:
    cookies: dict[str, Cookies] = {
        "nobody": {"no": "cookie"},
        "a forger": {**service.starter, "_streamlit_user": "forged"},
    }
    mine = cookies.get(who) or cookies_of(chromium, service.address, MALLORY)
    before = state(service.data)
    told = attack(service.address, mine, pressable)
    with session(service.address, mine) as one:
        told += "".join(one.run(page) for page in ("", "frontier", "layers", "method"))
        assert one.files == []
    assert ("may not see this server" in told) == (who == "a stranger")
    assert state(service.data) == before
    assert [name for name in names(service.data) if name in told] == []
    assert not any(kind in told for kind in ("plotly_chart", "arrow_data_frame", "waits", "talk"))


def test_metrics_ask_for_their_token_and_health_does_not(service: Service) -> None:
    for path in ("/metrics", "/_stcore/metrics"):
        assert answer(service.address + path, {}) == 403
        assert answer(service.address + path, service.starter, Authorization="Bearer guessed") == 403
        assert answer(service.address + path, {}, Authorization=f"Bearer {TOKEN}") == 200
    assert answer(f"{service.address}/health", {}) == 200
    with session(service.address, service.viewer) as one:
        one.run("layers")
    found = httpx.get(f"{service.address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    [runs] = [line for line in found.splitlines() if line.startswith('softh_page_run_seconds_count{page="layers"}')]
    assert float(runs.split()[-1]) >= 1


def test_read_only_shows_and_cannot_be_made_to_start_or_change_anything(
    service: Service, pressable: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_READ_ONLY", "1")
    for name in ("SOFTH_STARTERS", "SOFTH_VIEWERS", "SOFTH_METRICS_TOKEN"):
        monkeypatch.delenv(name)
    with serving(service.data) as address:
        before = state(service.data), (service.data / access.AUDIT).read_bytes()
        told = attack(address, {}, pressable)
        assert (state(service.data), (service.data / access.AUDIT).read_bytes()) == before
        assert "This server only shows" in told
        with session(address, {}) as one:
            assert "plotly_chart" in one.run("layers")
            assert answer(address + one.fetch(one.files[-1]), {}) == 200
