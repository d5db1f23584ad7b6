# shellcheck shell=sh disable=SC2154 # the stub above this text sets NAME and REAL
# curl and wget: to the nodes of the rehearsal they are real; a file of the internet is made up.
case " $* " in
  *://127.* | *://node[0-9]* | *://localhost*) exec "${REAL}" "$@" ;;
  *://*) ;;
  *) exec "${REAL}" "$@" ;;
esac
url="" target="" previous=""
for word in "$@"; do
  case "${word}" in
    *://*) url="${word}" ;;
    --output=* | --output-document=*) target="${word#*=}" ;;
    *) ;;
  esac
  case "${previous}" in
    -o | --output | -O | --output-document) target="${word}" ;;
    *) ;;
  esac
  previous="${word}"
done
content() {
  case "${url}" in
    *.jsonl) # a trace of requests
      for number in 1 2 3 4 5 6 7 8 9; do
        printf '{"timestamp": %s0, "input_length": 64, "output_length": 16, "hash_ids": [%s]}\n' "${number}" "${number}"
      done
      ;;
    *) printf '{}\n' ;;
  esac
}
if [ -z "${target}" ] || [ "${target}" = - ]; then
  content
elif ! own "${target}"; then
  printf 'rehearsal: would fetch %s; %s is not written, as it is outside of the run directory\n' "${url}" "${target}" >&2
  exit
else
  case "${target}" in
    */*) mkdir -p -- "${target%/*}" ;;
    *) ;;
  esac
  content >"${target}"
fi
printf 'rehearsal: %s would fetch %s; %s is made up\n' "${NAME}" "${url}" "${target:-the output}" >&2
