"""Merges an owner's Python with a release whose definitions moved to other modules."""
