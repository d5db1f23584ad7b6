# shellcheck shell=bash
# The time since the start of job.sh.

CLOCK_START=0
NOW=0

# Sets NOW (seconds) and NOW_CS (hundredths of a second). The kernel's uptime never jumps, unlike the wall clock.
clock::read() {
  local up
  read -r up _ </proc/uptime
  NOW_CS=$((10#${up/./} - CLOCK_START))
  NOW=$((NOW_CS / 100))
}

clock::read
CLOCK_START="${NOW_CS}"
NOW=0
