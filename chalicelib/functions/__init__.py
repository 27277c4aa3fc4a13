"""The Lambda functions' entry points. Each builds its use case from the environment, once."""
