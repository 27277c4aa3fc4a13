"""callpacer on one machine, over an emulator of AWS."""
