"""The one exception whose message is written for the person at the keyboard."""


class InputError(ValueError):
    """What was received, what was expected and what to do, in one sentence.

    The command line prints it and exits with 2; a page shows it in place of a result.
    """
