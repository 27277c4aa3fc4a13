"""callpacer: calls every number of a list once, in the hours and at the pace asked for."""
