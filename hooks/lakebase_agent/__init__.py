"""The commands around a lakebase-agent project."""
