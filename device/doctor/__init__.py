"""What a technician asks of a device: ``doctor`` and ``selftest``. Commands only: the daemon imports nothing of it."""
