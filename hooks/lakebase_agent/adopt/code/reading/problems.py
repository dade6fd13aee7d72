"""What keeps an edit from being made."""


class CantWireError(Exception):
    """A call can't be connected by an edit; the text says where and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
