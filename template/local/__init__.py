"""What replaces a workspace on a developer's machine; never part of a deployed app."""
