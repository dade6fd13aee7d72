"""Calls of tools that wait until the user approves them, or does not."""
