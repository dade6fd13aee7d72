"""What is done after a turn, when nobody waits for it any more."""
