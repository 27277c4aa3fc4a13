"""The HTTP contract: read a request, do one thing, answer in the envelope."""
