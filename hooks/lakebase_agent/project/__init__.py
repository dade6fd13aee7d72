"""A project on disk: reading its files, changing them, and git."""
