"""What every function needs from its surroundings: time, settings, logs and metrics."""
