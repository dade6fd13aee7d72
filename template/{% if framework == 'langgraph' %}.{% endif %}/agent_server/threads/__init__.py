"""The agent's threads: `agent.py` imports what connects it to them from here."""

from agent_server.threads.state import ThreadState, TurnInput

__all__ = ["ThreadState", "TurnInput"]
