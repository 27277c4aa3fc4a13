"""What lies outside: the queue, and the tenants' own web servers."""
