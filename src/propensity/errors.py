"""Errors that end a command with one sentence. ``exit_code`` is what the command line returns."""


class InputError(ValueError):
    """The user gave something that cannot be used; the message says what, where and how to mend it."""

    exit_code = 2


class JobError(RuntimeError):
    """The input was fine but the job could not be done; the message says why and what to try."""

    exit_code = 1
