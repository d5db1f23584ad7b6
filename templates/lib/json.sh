# shellcheck shell=bash
# JSON output.

# Sets REPLY to a text as a JSON string.
json::string() {
  local LC_ALL=C
  local text="$1" code octal hex
  text="${text//\\/\\\\}"
  text="${text//\"/\\\"}"
  if [[ "${text}" == *[$'\001'-$'\037']* ]]; then
    for code in {1..31}; do
      printf -v octal '\\%03o' "${code}"
      printf -v octal '%b' "${octal}"
      printf -v hex '\\u%04x' "${code}"
      text="${text//"${octal}"/"${hex}"}"
    done
  fi
  REPLY="\"${text}\""
}
