"""The commands of ``doorbell-relay``, one module for each group."""
