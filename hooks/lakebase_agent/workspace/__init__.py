"""A Databricks workspace: signing in to it, and what is in it."""
