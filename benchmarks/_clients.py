"""Readers of the pages without a browser: they speak the protocol of Streamlit's own client, and keep the time."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

LIMIT = 2**26
"""Bytes of the longest message."""


@dataclass
class Reader:
    """One session of one reader on one page."""

    socket: ClientConnection
    page: str
    widgets: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Key of a control → its id and its options."""
    errors: list[str] = field(default_factory=list)
    received: int = 0
    """Bytes of the last run."""

    async def run(self, **changes: str) -> float:
        """Run the page with controls changed, and wait until it has run; seconds."""
        message = BackMsg()
        message.rerun_script.page_name = self.page
        for key, value in changes.items():
            name, _ = self.widgets[key]
            state = message.rerun_script.widget_states.widgets.add(id=name)
            state.string_array_value.data.append(value)
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        self.received = 0
        while True:
            answer = await self.socket.recv()
            self.received += len(answer)
            found = ForwardMsg()
            found.ParseFromString(answer)
            if found.WhichOneof("type") == "delta":
                self._take(found)
            elif found.WhichOneof("type") == "script_finished":
                return time.perf_counter() - began

    def other(self, key: str, chance: random.Random) -> str:
        """An option of a control, at random."""
        return chance.choice(self.widgets[key][1])

    def _take(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.errors.append(element.exception.message)
        if kind == "button_group":
            group = element.button_group
            self.widgets[group.id.rpartition("-")[2]] = group.id, [option.content for option in group.options]


async def reader(address: str, page: str) -> Reader:
    """A new session on a page, before its first run."""
    url = address.replace("http", "ws") + "/_stcore/stream"
    return Reader(
        await connect(url, subprotocols=[Subprotocol("streamlit")], max_size=LIMIT, origin=Origin(address)), page
    )


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
