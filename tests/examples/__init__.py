"""The examples, over sockets of this machine."""
