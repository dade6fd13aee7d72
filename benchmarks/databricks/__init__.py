"""What a turn costs where it is used: Databricks serving, Lakebase, M2M sign-in, traces."""
