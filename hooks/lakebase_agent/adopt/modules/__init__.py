"""The modules that adoption takes from a rendering of the template, and what they need."""
