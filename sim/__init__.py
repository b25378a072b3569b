"""The village: the same cores and shells on a virtual clock; the embedded broker; the demo. Only tests import it."""
