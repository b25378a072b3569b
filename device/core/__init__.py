"""What a device decides: pure functions ``(state, event, moment) -> (state, effects)``."""
