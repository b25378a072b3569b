#!/bin/sh
# The 40-pin header: one simulated chip with the lines that a Pi has on it, under the label that a Pi 4 gives it.
set -eu
modprobe gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/header
mkdir -p "$chip/bank"
echo 28 >"$chip/bank/num_lines"
echo pinctrl-bcm2711 >"$chip/bank/label"
echo 1 >"$chip/live"
mkdir -p /run/virtual-pi
ln -sfn "/sys/devices/platform/$(cat "$chip/dev_name")/$(cat "$chip/bank/chip_name")" /run/virtual-pi/header
# On a Pi the chip has its group long before anything wants it.
udevadm settle --timeout=60
# Nothing is pressed: with its resistor a line is high.
for line in /run/virtual-pi/header/sim_gpio*; do echo pull-up >"$line/pull"; done
