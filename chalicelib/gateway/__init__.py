"""Clients for the queue and for the tenants' web servers."""
