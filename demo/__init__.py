"""A demo: a customer uploads numbers, a tenant's server takes the calls, and the screen shows what callpacer does."""
