"""Users of the pages for the soak: sessions without a browser, and Chromium windows; what they saw, and how soon."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from random import Random

import psutil
from playwright.sync_api import Browser, Page, WebSocket
from playwright.sync_api import Error as BrowserError
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import WebSocketException

from benchmarks._clients import Listener, Reader, reader
from benchmarks.pages import spread
from softh.jobs import processes
from tests.browser.test_walk import PROBE, change, controls, settle, visit
from tests.harness import PATHS, browser

THINK = 15.0, 30.0
"""Seconds that a user looks at a page, at least and at most."""
WALKS, LEAVES = 0.4, 0.1
"""How often the next step is another page, or a new session."""
GRACE, PATIENCE = 10.0, 60.0
"""Seconds in which the users of a killed server find it again, and that a run may take at most."""
PLACES = ["" if path == "/" else name for name, path in PATHS.items()]
BROKEN = (OSError, TimeoutError, WebSocketException, BrowserError, AssertionError)


@dataclass
class Visits:
    """Where the users go and for how long, and what they saw."""

    address: str
    minutes: float
    began: float = field(default_factory=time.monotonic)
    away: list[tuple[float, float]] = field(default_factory=list)
    """When the server was killed, and when it answered again."""
    times: list[tuple[str, str, float, float]] = field(default_factory=list)
    """Page, why it ran (come, walk, change, poll, window), the minute at its end, seconds."""
    errors: list[str] = field(default_factory=list)

    def minute(self) -> float:
        return (time.monotonic() - self.began) / 60

    def over(self) -> bool:
        return self.minute() >= self.minutes

    def took(self, page: str, why: str, seconds: float) -> None:
        self.times.append((page or "trajectory", why, self.minute(), seconds))

    def note(self, who: str, *errors: object, since: float = inf) -> None:
        """Keep errors, but for those of users whose server is away or was a moment ago, or since they began."""
        now = time.monotonic()
        if not any(gone <= now and min(since, now) <= back + GRACE for gone, back in self.away):
            self.errors += [f"minute {self.minute():.1f}, {who}: {error}" for error in errors]


async def user(visits: Visits, number: int) -> None:
    """One session after another."""
    chance = Random(number)
    await asyncio.sleep(chance.uniform(0, THINK[1]))
    while not visits.over():
        try:
            one = await reader(visits.address, chance.choice(PLACES))
            async with one.socket:
                await stay(visits, one, chance)
        except BROKEN as error:
            visits.note(f"user {number}", repr(error))
            await asyncio.sleep(1)


async def stay(visits: Visits, one: Reader, chance: Random) -> None:
    """One session: come, then change a control or go to the next page until it is time to leave."""
    await timed(visits, one, "come", one.run())
    while True:
        await think(visits, one, chance.uniform(*THINK))
        if one.socket.close_code and not visits.over():
            raise ConnectionError(f"the server closed the session, code {one.socket.close_code}")
        if visits.over() or chance.random() < LEAVES:
            return
        if not one.widgets or chance.random() < WALKS:
            one.page = PLACES[(PLACES.index(one.page) + 1) % len(PLACES)]
            await timed(visits, one, "walk", one.run())
        else:
            key = chance.choice(sorted(one.widgets))
            await timed(visits, one, "change", one.run(**{key: one.other(key, chance)}))


async def think(visits: Visits, one: Reader, seconds: float) -> None:
    """Look at the page, as long as the server is there; what asks to run again meanwhile does."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not one.socket.close_code:
        fragment, interval = next(iter(one.polls.items()), ("", inf))
        with suppress(TimeoutError):
            await asyncio.wait_for(one.socket.wait_closed(), min(left, interval))
        if interval < left:
            await timed(visits, one, "poll", one.poll(fragment))


async def timed(visits: Visits, one: Reader, kind: str, run: Awaitable[float]) -> None:
    async with asyncio.timeout(PATIENCE):
        visits.took(one.page, kind, await run)
    visits.note(one.page, *one.errors)
    one.errors.clear()


def windows(visits: Visits, number: int) -> None:
    """The users with a real browser, in turn in one thread: two changes of a page, then on to the next."""
    chance = Random("windows")
    with browser() as chromium:
        pages = [window(visits, chromium) for _ in range(number)]
        lower_priority()
        for turn in range(sys.maxsize):
            page, began = pages[turn % number], time.monotonic()
            if visits.over():
                return
            try:
                step(page, visits.address, PLACES[turn // (3 * number) % len(PLACES)], chance)
            except BROKEN as error:
                visits.note(f"window {turn % number}", repr(error), since=began)
            page.wait_for_timeout(1e3 * chance.uniform(*THINK) / number)


def lower_priority() -> None:
    """Windows are on other machines than the server: here they only get what it leaves of the processors."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "chrom" in process.name():
                processes.lower_priority(process.pid)


def step(page: Page, address: str, place: str, chance: Random) -> None:
    """Go to a page, as a new session or by the link of the sidebar, or change one of its controls."""
    links, found = page.get_by_test_id("stSidebarNavLink"), controls(page)
    if not links.count() or chance.random() < LEAVES:
        visit(page, f"{address}/{place}")
    elif f"{address}/{place}" != page.url.partition("?")[0]:
        links.nth(PLACES.index(place)).click()
        settle(page)
    elif place not in ("analyze", "present") and (found := [one for one in found if one[0] != "stTextInput"]):
        # Words that are written there ask the hub, or change a deck, and so they do below the preferences.
        kind, number = chance.choice(found)
        change(page, kind, page.get_by_test_id(kind).nth(number))
        settle(page)


def window(visits: Visits, chromium: Browser) -> Page:
    """A window whose errors are noted, and whose runs are timed as its connection tells them."""
    page = chromium.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.on("pageerror", lambda error: visits.note("window", error))

    def console(kind: str, words: str) -> None:
        if kind == "error" and not PROBE.search(words):
            visits.note("console", words)

    page.on("console", lambda said: console(said.type, f"{said.text} {said.location['url']}"))
    page.on("websocket", lambda socket: listen(visits, page, socket))
    return page


def listen(visits: Visits, page: Page, socket: WebSocket) -> None:
    """Take the time of every run that a window asks for, until its end is heard between drawing what came before."""
    heard, asked = Listener(), list[float]()

    def sent(payload: bytes | str) -> None:
        message = BackMsg()
        message.ParseFromString(payload if isinstance(payload, bytes) else payload.encode())
        if message.HasField("rerun_script") and not message.rerun_script.is_auto_rerun:
            asked[:] = [time.perf_counter()]

    def received(payload: bytes | str) -> None:
        if heard.hear(payload if isinstance(payload, bytes) else payload.encode()) and asked:
            place = page.url.partition("?")[0].rpartition("/")[2]
            visits.took(place, "window", time.perf_counter() - asked.pop())
        visits.note("window", *heard.errors)
        heard.errors.clear()

    socket.on("framesent", sent)
    socket.on("framereceived", received)


def reruns(visits: Visits) -> dict[str, dict[str, float]]:
    """Seconds of the runs that users without a browser asked for: all, by page, by what they did, by the server's age.

    Beside them those of windows, which draw meanwhile, and those that pages asked for.
    """
    groups, starts = defaultdict(list), [0.0, *((back - visits.began) / 60 for _, back in visits.away)]
    for page, why, minute, seconds in visits.times:
        young = any(0 <= minute - start < 1 for start in starts)
        age = "server's first minute" if young else "later"
        for name in (why,) if why in {"poll", "window"} else ("all", f"page {page}", why, age):
            groups[name].append(seconds)
    return {name: spread(times) for name, times in sorted(groups.items())}
