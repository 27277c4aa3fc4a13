"""The use cases: pace, dial, report and settle. Each takes its clock, stores, queue and HTTP clients as arguments."""
