"""Package, deploy and restore."""
