"""A start_url whose calls Twilio makes, and reports to callpacer itself."""
