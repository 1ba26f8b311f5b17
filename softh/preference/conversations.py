"""Turns of a conversation, from a text, a transcript, a list of messages, or such a list as JSON or Python text."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Messages = tuple[tuple[str, str], ...]
"""(role, text) of every turn; roles are system, user, assistant and tool."""

TOOL_CALL, NOT_TEXT, MALFORMED = "a tool call", "content that is not text", "a message that cannot be read"
"""Reasons for excluding a row; they are stored with an estimate, so their words never change."""

_ROLES = {
    "human": "user", "prompter": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant",
    "chatgpt": "assistant", "observation": "tool", "function": "tool", "tool_response": "tool",
}  # fmt: skip
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


class ExcludedError(ValueError):
    """A row that gives no pair of texts; it is left out and counted."""

    def __init__(self, reason: str, value: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        """Stored with an estimate."""
        self.kind = type(value).__name__
        """Type of what was found, for a sentence."""


def turns(value: Any) -> Messages:
    """Turns of a column; a plain text is one turn of the user. Errors: ExcludedError.

    >>> turns('[{"from": "human", "value": "Two and two?"}, {"from": "gpt", "value": "Four."}]')
    (('user', 'Two and two?'), ('assistant', 'Four.'))
    """
    value = decoded(value)
    if value is None:
        return ()
    if isinstance(value, str):
        return _transcript(value)
    messages = [value] if isinstance(value, Mapping) else value
    if not isinstance(messages, Sequence):
        raise ExcludedError(MALFORMED, value)
    return tuple(_turn(message) for message in messages)


def history(value: Any) -> Messages:
    """Turns of a column `history`: messages, or pairs of what was asked and answered. Errors: ExcludedError.

    >>> history([["Two and two?", "Four."]])
    (('user', 'Two and two?'), ('assistant', 'Four.'))
    """
    value = decoded(value)
    pairs = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    if pairs and all(isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2 for pair in pairs):
        flat = [(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
        return tuple((role, _text(text)) for role, text in flat if text)
    return turns(value)


def decoded(value: Any) -> Any:
    """The messages that a text spells out, as a table without nested columns holds them; any other value unchanged.

    An answer that is JSON itself stays text: only lists of messages with a role are read.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            parsed = read(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return parsed if _is_conversation(parsed) else value
    if re.match(r"\s*\[\s*\{\s*['\"](?:role|from|content|value)['\"]\s*:", value):
        raise ExcludedError(MALFORMED, value)  # messages as some program printed them, not text of an answer
    return value


def _is_conversation(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value):
        return all(isinstance(text, str) for pair in value for text in pair)
    return all(isinstance(message, Mapping) and _role(message) and len(message) > 1 for message in value)


def _role(message: Mapping[str, Any]) -> Any:
    return message.get("role") or message.get("from")


def _transcript(text: str) -> Messages:
    if not text.lstrip().startswith("Human:"):
        return (("user", text.strip()),) if text.strip() else ()
    parts = _TURN.split(text.strip())
    return tuple((_known(role), content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True))


def _known(role: str) -> str:
    return _ROLES.get(role.lower(), role.lower())


def _turn(message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise ExcludedError(MALFORMED, message)
    role = _role(message)
    if not isinstance(role, str):
        raise ExcludedError(MALFORMED, message)
    if message.get("tool_calls") or message.get("function_call") or role.lower() in {"function_call", "tool_call"}:
        raise ExcludedError(TOOL_CALL, message)
    if "content" not in message and "value" not in message:
        raise ExcludedError(MALFORMED, message)
    content = message.get("content")
    return _known(role), _text(message.get("value") if content is None else content)


def _text(content: Any) -> str:
    """The text of a message: a text, or the text parts of a list."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, Sequence):
        raise ExcludedError(NOT_TEXT, content)
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ExcludedError(NOT_TEXT, content)
    return "".join(texts).strip()
