# shellcheck shell=bash
# Time since the start of job.sh.

CLOCK_START=0
NOW=0

# Sets NOW (whole seconds) and NOW_CS (hundredths) since the start of job.sh, by the kernel's clock that never jumps.
clock::read() {
  local up
  read -r up _ </proc/uptime
  NOW_CS=$((10#${up/./} - CLOCK_START))
  NOW=$((NOW_CS / 100))
}

clock::read
CLOCK_START="${NOW_CS}"
NOW=0
