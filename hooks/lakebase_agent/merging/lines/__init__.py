"""Merging one definition: which line became which, and where an insertion belongs."""
