"""The distributed store: people in a DynamoDB table."""
