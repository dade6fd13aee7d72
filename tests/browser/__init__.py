"""The chat page of generated projects, in a real browser."""
