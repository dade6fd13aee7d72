"""What one user, a model or a database could do to the others, and an honest user beside it."""
