# Converts the report of a client, parsed by json.awk, into a record of summary.json.
#
# In, as environment variables: RECORD_NAME, _CLIENT, _RESULT, _FACTS (members of a JSON object), _CODE, _REASON, _TRIES,
# _BEGAN (Unix time), _SECONDS, _GPUS, _DECODE_GPUS, _MAX_FAILED_SHARE. Out: a line "ok TEXT" or "bad TEXT", then the record on
# one line.
#
# read_report() is the reader of the client: a file of lib/readers, or of files/readers, where a plugin brings its own. It sets
# M[FIGURE] and SCORES[NAME], calls reject() for an unusable report, and sets is_evaluation where only scores count.
#
# A number of the client is copied as it is written; units are in the names; what is not known is null.
#
# An element of an array is passed to a function as `M["x"] ""`: gawk 5.3.2 fails with an internal error if the element is
# unassigned ("fixtype: expected Node_val, got Node_elem_new").

END {
  count = split(figures(), KEYS, " ")
  for (k = 1; k <= count; k++) M[KEYS[k]] = "" # gawk 5.2 fails on a member that is first printed and then compared
  client = ENVIRON["RECORD_CLIENT"]
  reason = ENVIRON["RECORD_REASON"]
  if (client != "" && VALID) {
    read_report()
    derive()
    reject(find_defect())
  } else if (client != "") {
    reject("the report is not valid JSON")
  }
  print (reason == "" ? "ok " summary_text() : "bad " reason)
  print record()
}

# Sets the reason why the run failed; the first one counts.
function reject(why) {
  if (reason == "") reason = why
}

# The number at a pointer as written; "" for anything else, including NaN, Infinity and numbers that overflow, such as 1e999.
function number(pointer) {
  return KIND[pointer] == "number" && VALUE[pointer] ~ /[0-9]/ && format_number(VALUE[pointer] + 0) != "" ? VALUE[pointer] : ""
}

function first_of(a, b) {
  return a != "" ? a : b
}

# The number at a pointer in another unit: milliseconds of a report in seconds are scaled(pointer, 1000).
function scaled(pointer, factor) {
  return number(pointer) == "" ? "" : format_number(number(pointer) * factor)
}

# Computes the figures that follow from others.
function derive(    rate) {
  if (M["failed"] == "" && requests != "" && M["completed"] != "" && requests + 0 >= M["completed"] + 0) {
    M["failed"] = format_number(requests - M["completed"])
  }
  per_second("requests_per_s", "completed")
  per_second("input_tokens_per_s", "input_tokens")
  per_second("output_tokens_per_s", "output_tokens")
  if (M["total_tokens_per_s"] == "" && M["input_tokens_per_s"] != "" && M["output_tokens_per_s"] != "") {
    M["total_tokens_per_s"] = format_number(M["input_tokens_per_s"] + M["output_tokens_per_s"])
  }
  set_ratio("output_tokens_per_s_per_gpu", M["output_tokens_per_s"] "", ENVIRON["RECORD_GPUS"] "")
  set_ratio("total_tokens_per_s_per_gpu", M["total_tokens_per_s"] "", ENVIRON["RECORD_GPUS"] "")
  set_ratio("output_tokens_per_s_per_decode_gpu", M["output_tokens_per_s"] "", ENVIRON["RECORD_DECODE_GPUS"] "")
  set_ratio("tokens_per_s_per_user", 1000, M["tpot_ms_p50"] "")
}

function per_second(name, count) {
  if (M[name] == "" && M[count] != "") set_ratio(name, M[count] "", M["duration_s"] "")
}

function set_ratio(name, what, parts) {
  if (what != "" && parts != "" && parts + 0 > 0) M[name] = format_number(what / parts)
}

# A number as text; "" if it overflows.
function format_number(value,    text) {
  text = sprintf("%.10g", value)
  return text ~ /[0-9]/ ? text : ""
}

# Why the run has no usable result; "" if it has one. SGLang's client counts the requested output where the server
# says nothing, but it also counts the tokens of the text that came.
function find_defect(    total, bound, text) {
  if (is_evaluation) return ""
  text = number("/total_output_tokens_retokenized")
  if (M["output_tokens"] == "" || M["output_tokens"] + 0 <= 0) return "no output tokens"
  if (text != "" && text + 0 <= 0) return "no text received, although the report counts output tokens"
  if (M["completed"] != "" && M["completed"] + 0 <= 0) return "no request completed"
  if (M["failed"] + 0 < 0) return "the report has a negative number of failed requests"
  total = M["completed"] + M["failed"]
  bound = ENVIRON["RECORD_MAX_FAILED_SHARE"]
  if (bound != "" && total > 0 && M["failed"] + 0 > bound * total) {
    return sprintf("%.0f of %.0f requests failed, more than %g %%", M["failed"], total, bound * 100)
  }
  if (M["completed"] == "") return "the report has no number of completed requests"
  if (M["duration_s"] == "" || M["duration_s"] + 0 <= 0) return "the report has no duration"
  if (M["ttft_ms_mean"] == "" && M["ttft_ms_p50"] == "") return "the report has no time to the first token"
  if (M["ttft_ms_mean"] + 0 <= 0 && M["ttft_ms_p50"] + 0 <= 0) return "the time to the first token is 0"
  return ""
}

# A short summary of the run, for the log.
function summary_text() {
  if (client == "") return "done"
  if (is_evaluation) return "score " M["score"]
  return sprintf("%.0f output tokens, %.0f tokens/s, TTFT %.0f ms, TPOT %.1f ms", M["output_tokens"], M["output_tokens_per_s"], \
    M["ttft_ms_p50"], M["tpot_ms_p50"])
}

function record(    keys, n, i, text) {
  text = "{\"name\":" json_text(ENVIRON["RECORD_NAME"] "") ",\"status\":\"" (reason == "" ? "ok" : "failed") "\""
  text = text ",\"reason\":" json_text(reason) ",\"exit_code\":" ENVIRON["RECORD_CODE"]
  text = text ",\"tries\":" ENVIRON["RECORD_TRIES"]
  text = text ",\"began_at\":" ENVIRON["RECORD_BEGAN"] ",\"wall_s\":" ENVIRON["RECORD_SECONDS"]
  text = text ",\"client\":" json_text(client) ",\"result\":" json_text(ENVIRON["RECORD_RESULT"] "")
  text = text "," ENVIRON["RECORD_FACTS"]
  for (i = 1; i <= count; i++) text = text ",\"" KEYS[i] "\":" (M[KEYS[i]] == "" ? "null" : M[KEYS[i]])
  n = sorted_keys(SCORES, keys)
  text = text ",\"scores\":{"
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescape(keys[i] "")) ":" SCORES[keys[i]]
  n = sorted_keys(LOWER, keys)
  text = text "},\"lower_is_better\":["
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescape(keys[i] ""))
  return text "]}"
}

# The figures of a record, in order.
function figures() {
  return "completed failed duration_s input_tokens output_tokens requests_per_s good_requests_per_s " \
    "input_tokens_per_s output_tokens_per_s total_tokens_per_s output_tokens_per_s_per_gpu total_tokens_per_s_per_gpu " \
    "output_tokens_per_s_per_decode_gpu tokens_per_s_per_user " time_keys("ttft") time_keys("tpot") time_keys("itl") time_keys("e2e") \
    "accept_length score"
}

function time_keys(name) {
  name = name "_ms_"
  return name "mean " name "p50 " name "p90 " name "p95 " name "p99 " name "std "
}

# Puts the keys of a table into a sorted list; returns their number.
function sorted_keys(table, names,    key, n, j, swap) {
  for (key in table) {
    names[++n] = key
    for (j = n; j > 1 && names[j] "" < names[j - 1] ""; j--) {
      swap = names[j]
      names[j] = names[j - 1]
      names[j - 1] = swap
    }
  }
  return n + 0
}

# A part of a pointer as the key that it encodes.
function unescape(part) {
  gsub(/~1/, "/", part)
  gsub(/~0/, "~", part)
  return part
}

# A number in RECORD_FACTS, "" if it is missing.
function fact(name,    facts) {
  facts = ENVIRON["RECORD_FACTS"]
  if (!match(facts, "\"" name "\":[0-9]+")) return ""
  return substr(facts, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
}

# A text as a JSON string.
function json_text(text,    i, c, out) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c == "\"" || c == "\\") out = out "\\" c
    else if (c == "\n") out = out "\\n"
    else if (c == "\t") out = out "\\t"
    else if (c < " ") out = out "?"
    else out = out c
  }
  return "\"" out "\""
}
