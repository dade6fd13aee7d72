"""What an agent's code says: its names, its calls, and the memory that it has already."""
