"""A simulated DynamoDB and SQS, on simulated time."""
