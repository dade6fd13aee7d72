"""What can go wrong, by the exit code it ends with."""


class UsageError(ValueError):
    """The command can't work as it was given (exit code 2); the text says why, and what would."""


class WorkspaceError(Exception):
    """The workspace can't be reached, or refuses (exit code 3); the text says what mends it."""
