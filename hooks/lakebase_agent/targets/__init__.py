"""The targets of a project's bundle, each with its file and its state in the workspace."""
