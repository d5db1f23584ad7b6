#!/bin/bash
# Preflight checks of one node: preflight.sh TABLE OUT_DIR INTERFACE NODE...
#
# Runs on every node in parallel, before any service or worker starts. Runs the checks of TABLE (tab-separated: kind, subject,
# nodes, reason) that name this node. Writes OUT_DIR/<node>: lines of "address", "ok", "skipped", "warn" or "fail", a tab, and
# text. Exits with 0 even if a check fails, because job.sh reads the file. SRTPLAN_PREFLIGHT_SKIP="dir file gpus" skips kinds
# of checks.
set -uo pipefail

readonly IPV4='^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$'

main() {
  local -r table="$1" out_dir="$2" interface="$3"
  shift 3
  local name index
  name="$(hostname)"
  name="${SLURMD_NODENAME:-${name%%.*}}"
  index="$(node_index "${name}" "$@")"
  {
    check_bash
    report_address "${interface}"
    check_table "${table}" "${index}"
  } >"${out_dir}/.${name}"
  mv -f -- "${out_dir}/.${name}" "${out_dir}/${name}"
}

# Prints the index of this node in the allocation.
node_index() {
  local -r name="$1"
  shift
  local index=0 node
  for node in "$@"; do
    [[ "${node}" != "${name}" ]] || break
    index=$((index + 1))
  done
  printf '%d\n' "${index}"
}

# Launchers run with the bash of this node, unless their container has its own.
check_bash() {
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || fail "bash 4.4 or later is required, this is ${BASH_VERSION}"
}

report_address() {
  local -r interface="$1"
  local address
  address="$(find_address "${interface}")"
  if [[ "${address}" =~ ${IPV4} && "${address}" != 0.* && ("${address}" != 127.* || -n "${SRT_NODE_ADDRESS:-}") ]]; then
    printf 'address\t%s\n' "${address}"
  else
    printf 'fail\tno usable IPv4 address%s (found "%s")\n' "${interface:+ on interface ${interface}}" "${address}"
  fi
}

# Prints SRT_NODE_ADDRESS, else the address of the interface in the profile, else the first address that is not loopback.
find_address() {
  local -r interface="$1"
  if [[ -n "${SRT_NODE_ADDRESS:-}" ]]; then
    printf '%s\n' "${SRT_NODE_ADDRESS}"
  elif [[ -n "${interface}" ]]; then
    ip -4 -oneline address show dev "${interface}" scope global | awk '{ sub("/.*", "", $4); print $4; exit }'
  else
    hostname -I | tr ' ' '\n' | grep -E '^[0-9.]+$' | grep -Ev '^(127|169\.254)\.' | head -n 1
  fi
}

check_table() {
  local -r table="$1" index="$2"
  local kind subject nodes why passed=0 skipped=0
  while IFS=$'\t' read -r kind subject nodes why; do
    [[ ",${nodes}," == *",${index},"* ]] || continue
    if [[ " ${SRTPLAN_PREFLIGHT_SKIP:-} " == *" ${kind} "* ]]; then
      skipped=$((skipped + 1))
    elif "check_${kind}" "${subject}" "${why}"; then
      passed=$((passed + 1))
    fi
  done <"${table}"
  printf 'ok\t%d\n' "${passed}"
  ((skipped == 0)) || printf 'skipped\t%d\n' "${skipped}"
}

check_dir() {
  local -r path="$1" why="$2"
  [[ -d "${path}" && -r "${path}" && -x "${path}" ]] || fail_path "${path}" directory "${why}"
}

check_path() {
  local -r path="$1" why="$2"
  [[ -r "${path}" ]] || fail_path "${path}" "file or directory" "${why}"
}

check_file() {
  local -r path="$1" why="$2"
  [[ -f "${path}" && -r "${path}" ]] || fail_path "${path}" file "${why}"
}

# A file that the benchmark downloads must be available now, not only after hours of loading.
check_url() {
  local -r url="$1" why="$2"
  local code=0
  curl --head --location --fail --silent --output /dev/null --max-time 30 -- "${url}" || code="$?"
  ((code == 0)) || fail "${why}: cannot download ${url} from this node (curl exited with ${code})"
}

# At least one of several files must exist; the paths are separated by ":".
check_any() {
  local -r paths="$1" why="$2"
  local path
  local -a choices
  IFS=: read -r -a choices <<<"${paths}"
  for path in "${choices[@]}"; do
    [[ ! -f "${path}" || ! -r "${path}" ]] || return 0
  done
  fail "${why}: not found or not readable: ${choices[*]}"
}

fail_path() {
  local -r path="$1" kind="$2" why="$3"
  if [[ -e "${path}" ]]; then
    fail "${why}: ${path} is not a readable ${kind}"
  elif [[ -L "${path}" ]]; then
    fail "${why}: ${path} is a broken link"
  else
    fail "${why}: ${path} does not exist"
  fi
}

check_port() {
  local -r port="$1" why="$2"
  local socket holder
  socket="$(listeners | awk -v port="${port}" '$1 == port { print $2, $3; exit }')"
  [[ -n "${socket}" ]] || return 0
  holder="$(socket_holder "${socket% *}" "${socket#* }")"
  fail "port ${port} (${why}) is in use by ${holder}"
}

check_gpus() {
  local -r wanted="$1" why="$2"
  local have
  local -a devices=(/dev/nvidia[0-9]*)
  if command -v nvidia-smi >/dev/null; then
    have="$(timeout 30 nvidia-smi --list-gpus | grep -c '^GPU ')"
  elif [[ -e "${devices[0]}" ]]; then
    have="${#devices[@]}"
  else
    printf 'warn\tcannot count GPUs: neither nvidia-smi nor /dev/nvidia* found\n'
    return 0
  fi
  ((have >= wanted)) || fail "GPUs found: ${have}, required: ${wanted} (${why})"
}

fail() {
  printf 'fail\t%s\n' "$1"
  return 1
}

# Prints the listening TCP ports, each with the inode and the owner of its socket. SRT_NODE_ADDRESS limits them to one address,
# for several simulated nodes on one machine.
listeners() {
  local a b c d own=""
  if [[ -n "${SRT_NODE_ADDRESS:-}" ]]; then
    IFS=. read -r a b c d <<<"${SRT_NODE_ADDRESS}"
    printf -v own '%02X%02X%02X%02X' "${d}" "${c}" "${b}" "${a}"
  fi
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v own="${own}" '
    function hex(text,    i, n) {
      for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
      return n
    }
    $4 == "0A" {
      split($2, at, ":")
      if (own == "" || at[1] ~ "^0+$" || at[1] == own) print hex(at[2] ""), $10, $8
    }'
}

# Prints the process that holds a socket, or its user id if the process is not visible to this user.
socket_holder() {
  local -r inode="$1" uid="$2"
  local pid name
  # shellcheck disable=SC2012 # one ls for all descriptors of all processes; their names are numbers
  pid="$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -F / -v socket="socket:[${inode}]" '
    /^\/proc/ { pid = $3 }
    index($0, "-> " socket) { print pid; exit }')"
  if [[ -n "${pid}" ]] && read -r name <"/proc/${pid}/comm"; then
    printf '%s (pid %d)' "${name}" "${pid}"
  else
    printf 'a process of user id %d' "${uid}"
  fi
}

main "$@"
