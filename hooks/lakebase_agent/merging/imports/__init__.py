"""Finding moved names, rewriting the imports of a file, and merging the imports of a module."""
