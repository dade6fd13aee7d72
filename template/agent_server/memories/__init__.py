"""What is remembered without being asked to, and shared by those who work together."""
