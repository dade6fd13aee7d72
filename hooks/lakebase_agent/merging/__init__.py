"""Merging an owner's Python with a new release whose definitions moved to other modules.

`merge_trees` does the merge on texts alone; `project` does it to a project that Copier updated.
"""
