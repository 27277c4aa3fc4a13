"""The Lambda functions' entry points: each builds one use case from the environment, once."""
