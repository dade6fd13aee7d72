"""Merging an owner's edits into a release that moved and renamed what they edited."""
