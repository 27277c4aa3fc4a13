"""A customer and a telephone side, to watch callpacer at work."""
