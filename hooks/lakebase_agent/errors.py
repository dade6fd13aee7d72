"""What can go wrong, by the exit code that it ends with."""


class UsageError(ValueError):
    """The command can't do what it was asked to (exit code 2); the text says why."""


class SourceError(Exception):
    """The template can't be fetched (exit code 3); the text says why."""


class WorkspaceError(Exception):
    """The workspace can't be reached, or refuses (exit code 3); the text says how to fix it."""
