"""The threads of the agent; `agent.py` takes from here what connects it to them."""

from agent_server.threads.state import ThreadState, TurnInput

__all__ = ["ThreadState", "TurnInput"]
