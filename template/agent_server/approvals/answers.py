"""Which of the items that a client sends answer a request for approval."""

from collections.abc import Sequence

from agent_server.errors import bad_request, no_such_approval
from agent_server.responses.items import ApprovalResponse, Item, Message, UnusedItem
from agent_server.settings import has

Sent = str | Sequence[Item | ApprovalResponse | UnusedItem]


def answers_in(sent: Sent) -> list[ApprovalResponse]:
    """Return the answers after the last question: clients resend those before it as history.

    Raises ApiError as `checked` does.
    """
    found: list[ApprovalResponse] = []
    for item in sent if not isinstance(sent, str) else ():
        if isinstance(item, Message) and item.role == "user" and item.counts:
            found.clear()
        elif isinstance(item, ApprovalResponse):
            found.append(item)
    return checked(found)


def checked(answers: list[ApprovalResponse]) -> list[ApprovalResponse]:
    """Return the answers.

    Raises a 400 ApiError for two to one request, and a 404 in an agent that can't ask.
    """
    if answers and not has("short_term"):
        raise no_such_approval()
    if len({said.approval_request_id for said in answers}) < len(answers):
        raise bad_request("input: two approval responses are for the same request.")
    return answers
