"""What users think of answers, here and in MLflow."""
