"""Time, settings, logs and metrics of the functions."""
