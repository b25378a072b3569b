"""The relay's decisions, pure: ``(state, event, now) -> (state, effects)``. No clock, no chance, no I/O, no logging."""
