"""A start_url that rings SIP telephones from this machine, and a scripted telephone that it can ring.

`agent` alone knows pjsua2. `caller` and `telephone` are the two ends of a call; `lines` and `switchboard` give each a
process of its own. `start_url` and `events` talk with callpacer. `stub` and `campaign` are two ways to have the numbers
of `scenario` called. `serve` rings any telephone.
"""
