"""The HTTP API: read a request, check it, carry it out, and answer in the envelope."""
