"""What an adopted app lacks in its bundle, or its app.yaml."""
