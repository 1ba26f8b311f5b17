"""Logs of the worker and the web process: plain lines, or with SOFTH_LOG=json one JSON object a line."""

import json
import logging
from datetime import UTC, datetime

from softh import settings
from softh.errors import InputError

TEXT = "%(asctime)s %(message)s"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message and the entries of `extra={"facts": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON of a record."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "said": record.getMessage(),
            **{name: value for name, value in vars(record).get("facts", {}).items() if name != "at"},
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """Formats a record as one line, whatever a name in it holds; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The message of a record on one line."""
        return "".join(
            letter if letter.isprintable() else repr(letter)[1:-1] for letter in super().formatMessage(record)
        )


def set_up(level: int = logging.INFO) -> None:
    """Log to standard error from now on; with SOFTH_LOG=json the records of other libraries as well."""
    logging.basicConfig(level=level, format=TEXT)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter(TEXT))
    try:
        as_json = settings.text("SOFTH_LOG") == "json"
    except InputError as error:  # no reason to stop a server
        logging.getLogger(__name__).warning("%s", error)
        as_json = False
    for chatty in ("httpx",):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if not as_json:
        return
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.setFormatter(JsonFormatter())
