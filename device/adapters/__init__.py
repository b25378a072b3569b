"""One outside thing each: pins, player, disk, clock, health, control line. They translate and decide nothing."""
