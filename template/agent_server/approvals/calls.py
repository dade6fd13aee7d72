"""What waits for a person's yes, and what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn

# What the model is told of a call when the user wrote something else instead of an answer.
NOT_APPROVED = "The user did not approve this call, so it was not made. Do not repeat it unasked."


@dataclass(frozen=True)
class Call:
    """A tool call that needs approval; the framework finds it again by `place`."""

    name: str
    arguments: str  # JSON
    place: str


@dataclass(frozen=True)
class Approval:
    """A call that was put to the user, and the answer, if there is one."""

    id: str
    call: Call
    approve: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Pause:
    """A run that stopped before some calls, and what is needed to continue it."""

    state: str = ""
    approvals: list[Approval] = field(default_factory=list)

    @property
    def undecided(self) -> list[Approval]:
        """The calls that still wait for an answer."""
        return [approval for approval in self.approvals if approval.approve is None]


class Approvals(Protocol):
    """The calls of all threads that wait (see `store.py`)."""

    async def check(self, turn: Turn) -> None:
        """Raise an ApiError if no answer in this turn can be taken; nothing if it has none.

        404 for what was not asked here, 409 for what is decided, 410 after APPROVAL_DAYS.
        """

    async def pause(self, turn: Turn, state: str, calls: Sequence[Call]) -> Pause:
        """Keep what is needed to continue the run of this turn, once each call is answered."""

    async def decide(self, turn: Turn) -> Pause:
        """Take the answers in this turn, and return the run that they are for.

        If nothing in it is undecided any more, this turn is the one that continues the run. Raises
        ApiError as `check` does.
        """

    async def finish(self, turn: Turn) -> None:
        """Forget how to continue the run, which this turn has done."""

    async def dismiss(self, turn: Turn) -> bool:
        """Take this turn, which has no answers, for a no; return whether a call was waiting."""


def ask_for(response: ResponseBuilder, approvals: Sequence[Approval]) -> None:
    """Let the response end with requests to approve these calls."""
    for approval in approvals:
        response.approval_request(approval.id, approval.call.name, approval.call.arguments)
