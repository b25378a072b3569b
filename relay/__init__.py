"""The relay: the service that pairs, times, calls and remembers."""
