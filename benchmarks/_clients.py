"""Readers of the pages without a browser: they speak the protocol of Streamlit's own client, and keep the time."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

LIMIT = 2**26
"""Bytes of the longest message."""
VALUES = dict.fromkeys(("button_group", "multiselect", "slider"), "string_array_value") | {"selectbox": "string_value"}
"""Kind of a control → where its value stands in a message."""
SEVERAL = 8
"""Options that are chosen at most where a control takes several."""


@dataclass(frozen=True)
class Control:
    """A control that has a name in the link."""

    id: str
    kind: str
    options: list[str]


@dataclass
class Listener:
    """What a session is told: the controls of its page, what asks to run again, and what went wrong."""

    widgets: dict[str, Control] = field(default_factory=dict)
    """Name in the link → control."""
    polls: dict[str, float] = field(default_factory=dict)
    """Id of a part of the page that asks to run again and again → seconds between two runs."""
    pages: dict[str, str] = field(default_factory=dict)
    """Path of a page → Streamlit's hash of it."""
    errors: list[str] = field(default_factory=list)
    received: int = 0
    """Bytes of the last run."""

    def hear(self, answer: bytes) -> bool:
        """Take in one message; True when it says that a run has ended, and no other follows at once."""
        self.received += len(answer)
        message = ForwardMsg()
        message.ParseFromString(answer)
        kind = message.WhichOneof("type")
        if kind == "delta":
            self._take(message.delta.new_element)
        elif kind == "navigation":
            self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
        elif kind == "auto_rerun":
            self.polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.polls.pop(fragment, None)
        elif kind == "page_not_found" or message.session_event.HasField("script_compilation_exception"):
            self.errors.append(str(message))
        return kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN

    def _take(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.errors.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format == Alert.ERROR:
            self.errors.append(element.alert.body)
        elif kind in VALUES:
            found = getattr(element, kind)
            options = [option.content if kind == "button_group" else option for option in found.options]
            if found.query_param_key and options and not found.disabled:
                self.widgets[found.query_param_key] = Control(found.id, kind, options)


@dataclass
class Reader(Listener):
    """One session of one reader, on one page at a time."""

    socket: ClientConnection = field(kw_only=True)
    page: str = field(kw_only=True)

    async def run(self, **changes: list[str]) -> float:
        """Run the page with controls changed, and wait until it has run; seconds."""
        message = BackMsg()
        for key, value in changes.items():
            control = self.widgets[key]
            state = message.rerun_script.widget_states.widgets.add(id=control.id)
            if VALUES[control.kind] == "string_value":
                [state.string_value] = value
            else:
                state.string_array_value.data.extend(value)
        self.widgets, self.polls = {}, {}
        return await self._ask(message)

    async def poll(self, fragment: str) -> float:
        """Run a part of the page again because it asked for it; seconds."""
        message = BackMsg()
        message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
        return await self._ask(message)

    def other(self, key: str, chance: random.Random) -> list[str]:
        """An option of a control at random; a few where it takes several."""
        options = self.widgets[key].options
        most = min(SEVERAL, len(options)) if self.widgets[key].kind == "multiselect" else 1
        return chance.sample(options, chance.randint(1, most))

    async def _ask(self, message: BackMsg) -> float:
        # By its hash once the router has told it: a page asked for by name is a page that was just come to, and all
        # its controls begin anew.
        known = self.pages.get(self.page, "")
        message.rerun_script.page_script_hash, message.rerun_script.page_name = known, "" if known else self.page
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        self.received = 0
        while True:
            answer = await self.socket.recv()
            assert isinstance(answer, bytes)
            if self.hear(answer):
                return time.perf_counter() - began


async def reader(address: str, page: str) -> Reader:
    """A new session on a page, before its first run."""
    url = address.replace("http", "ws") + "/_stcore/stream"
    socket = await connect(url, subprotocols=[Subprotocol("streamlit")], max_size=LIMIT, origin=Origin(address))
    return Reader(socket=socket, page=page)


async def changes(address: str, page: str, number: int, seed: int, pause: float = 0.0) -> tuple[list[float], Reader]:
    """One reader who opens a page, then changes order or correction again and again; seconds of every change."""
    one, chance, times = await reader(address, page), random.Random(seed), []
    await one.run()
    for _ in range(number):
        key = chance.choice(["order", "correction"])
        await asyncio.sleep(chance.uniform(0.5, 1.5) * pause)
        times.append(await one.run(**{key: one.other(key, chance)}))
    await one.socket.close()
    return times, one
