"""Imports: where a name is now, rewriting them in a file, and merging those of a module."""
