"""Why rows and pairs were excluded, in words: what is stored with an estimate never changes, how it is shown may."""

_IN_WORDS = {
    "told before": "an earlier duplicate", "one answer alone": "only one answer",
    "a prompt that is not that of its answers": "a prompt other than that of its answers",
}  # fmt: skip


def reason_text(reason: str) -> str:
    """A stored reason as it is shown.

    >>> reason_text("told before"), reason_text("an empty answer")
    ('an earlier duplicate', 'an empty answer')
    """
    return _IN_WORDS.get(reason, reason)


def count_text(what: str) -> str:
    """What a stored number of pairs counts: those that were measured, or those excluded for a reason.

    >>> count_text("measured, in plain form"), count_text("told before")
    ('measured, in plain form', 'excluded (an earlier duplicate)')
    """
    return what if what.startswith("measured") else f"excluded ({reason_text(what)})"
