"""The village: the same cores and shells on a virtual clock, the embedded broker, the demo. Nothing imports it but tests."""
