"""One session on the server without a browser: it sends what it likes, as somebody who means harm would."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

ENDS = {ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR}
XSRF = "_streamlit_xsrf"
LIMIT = 2**26
"""Bytes of the longest message."""


@dataclass
class Session:
    """What a session was told, and the widgets that it was shown."""

    socket: ClientConnection
    number: str = ""
    """Streamlit's id of the session."""
    buttons: dict[str, str] = field(default_factory=dict)
    """Id of a button → its label."""
    fragments: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    """Ids of files that the server makes when they are asked for."""
    told: list[str] = field(default_factory=list)
    """Every message of the last run, in protobuf's text form."""

    def run(self, page: str, query: Mapping[str, str] | None = None, press: Iterable[str] = ()) -> str:
        """Run a page with buttons pressed that may never have been shown; all that was told."""
        self.told = []
        self.send(page, query, press)
        # Another run follows one that ended early, and a fragment's end is another's.
        while (heard := self._hear(60)) and not (heard.HasField("script_finished") and heard.script_finished in ENDS):
            pass
        return "\n".join(self.told)

    def send(
        self, page: str, query: Mapping[str, str] | None = None, press: Iterable[str] = (), fragment: str = ""
    ) -> None:
        """Ask for a run of a page, or of a fragment of it."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(query or {})
        message.rerun_script.fragment_id = fragment
        for name in press:
            message.rerun_script.widget_states.widgets.add(id=name).trigger_value = True
        self.socket.send(message.SerializeToString())

    def fetch(self, file: str) -> str:
        """Have a file made; its address."""
        message = BackMsg()
        message.backend_operation_request.request_id = file
        message.backend_operation_request.session_id = self.number
        message.backend_operation_request.deferred_file.file_id = file
        self.socket.send(message.SerializeToString())
        while (answer := self._hear(60).backend_operation_response).request_id != file:
            pass
        assert not answer.error_msg
        return answer.deferred_file.url

    def hear(self, silence: float) -> str:
        """All that is told until nothing is for so many seconds."""
        self.told = []
        with suppress(TimeoutError):
            while True:
                self._hear(silence)
        return "\n".join(self.told)

    def _hear(self, seconds: float) -> ForwardMsg:
        found = ForwardMsg()
        answer = self.socket.recv(timeout=seconds)
        assert isinstance(answer, bytes)
        found.ParseFromString(answer)
        self.told.append(str(found))
        self.number = found.new_session.initialize.session_id or self.number
        if found.delta.fragment_id:
            self.fragments.add(found.delta.fragment_id)
        element = found.delta.new_element
        for shown in (element.button, element.download_button):
            if shown.id:
                self.buttons[shown.id] = shown.label
        if element.download_button.deferred_file_id:
            self.files.append(element.download_button.deferred_file_id)
        return found


@contextmanager
def session(address: str, cookies: Mapping[str, str]) -> Iterator[Session]:
    """A new session of somebody with these cookies."""
    url = address.replace("http", "ws") + "/_stcore/stream"
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    # The server believes a cookie only beside the token that its own page would send.
    protocols = [Subprotocol("streamlit"), *(Subprotocol(value) for name, value in cookies.items() if name == XSRF)]
    with connect(
        url, subprotocols=protocols, max_size=LIMIT, origin=Origin(address), additional_headers=headers
    ) as socket:
        yield Session(socket)
