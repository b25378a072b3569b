"""One outside library each. They translate, and decide nothing."""
