"""Reading an agent's code, and connecting it to its memory by edits of its text."""
