"""What callpacer costs on AWS, and how much one deployment can do: the real code on simulated time.

`__main__` prints the bill, and `scale` how much each tick takes at large paces. `world` is the simulation for both.
"""
