"""What is kept, in DynamoDB. Nothing outside this package knows which database it is."""
