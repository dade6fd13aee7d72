"""The trace of each turn, and how it gets to MLflow."""
