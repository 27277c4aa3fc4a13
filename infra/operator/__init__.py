"""The operator's commands for a deployment: tokens, and the switch that halts all dialling."""
