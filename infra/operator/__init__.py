"""What the operator of a deployment does: tokens, and the switch that halts all dialling."""
