"""What is measured by hand, never tested: sizes, start, and what a turn costs."""
