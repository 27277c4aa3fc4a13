"""Servers as customers write them. They know callpacer by its HTTP alone, and import nothing of it."""
