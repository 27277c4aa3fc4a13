"""Stores everything in DynamoDB. Nothing outside this package depends on which database it is."""
