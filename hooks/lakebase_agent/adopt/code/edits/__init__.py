"""The edits that connect an agent to its memory."""
