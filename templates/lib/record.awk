# Converts the report of a client, parsed by json.awk, into a record of summary.json.
#
# In, as environment variables: RECORD_NAME, _CLIENT, _RESULT, _FACTS (members of a JSON object), _CODE, _REASON, _TRIES,
# _BEGAN (Unix time), _SECONDS, _GPUS, _DECODE_GPUS, _MAX_FAILED_SHARE. Out: a line "ok TEXT" or "bad TEXT", then the record on
# one line.
#
# Numbers of the client are copied as written; units are part of the names; unknown values are null.
#
# An element of an array is passed to a function as `M["x"] ""`: gawk 5.3.2 fails with an internal error if the element is
# unassigned ("fixtype: expected Node_val, got Node_elem_new").

END {
  client = ENVIRON["RECORD_CLIENT"]
  reason = ENVIRON["RECORD_REASON"]
  if (client != "" && VALID) {
    if (client == "aiperf") read_aiperf()
    else if (client == "sglang-eval") read_sglang_eval()
    else if (client == "lm-eval") read_lm_eval()
    else read_load_report()
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

# sglang.bench_serving, vllm bench serve, TensorRT-LLM's benchmark_serving.
function read_load_report() {
  M["completed"] = number("/completed")
  M["failed"] = number("/failed")
  requests = requests_sent()
  M["duration_s"] = number("/duration")
  M["input_tokens"] = number("/total_input_tokens")
  M["output_tokens"] = number("/total_output_tokens")
  M["requests_per_s"] = number("/request_throughput")
  M["input_tokens_per_s"] = number("/input_throughput")
  M["output_tokens_per_s"] = number("/output_throughput")
  M["total_tokens_per_s"] = first_of(number("/total_token_throughput"), number("/total_throughput"))
  M["good_requests_per_s"] = first_of(number("/request_goodput"), number("/request_goodput:")) # TensorRT-LLM writes the colon
  M["accept_length"] = first_of(number("/accept_length"), number("/spec_decode_acceptance_length"))
  read_load_times("ttft", "ttft")
  read_load_times("tpot", "tpot")
  read_load_times("itl", "itl")
  read_load_times("e2e", KIND["/mean_e2e_latency_ms"] == "number" ? "e2e_latency" : "e2el")
}

# The number of requests sent, "" if unknown: a client sends at most as many requests as its data set has rows, except vLLM's,
# which repeats rows. SGLang's and vLLM's clients list the length of every prompt; in a reduced report "sent" is their number.
function requests_sent() {
  if (KIND["/input_lens"] == "array") return SIZE["/input_lens"]
  if (number("/sent") != "") return number("/sent")
  if (client != "vllm" && index(ENVIRON["RECORD_FACTS"], "\"dataset\":\"")) return ""
  return first_of(number("/num_prompts"), fact("requests"))
}

function read_load_times(ours, theirs) {
  M[ours "_ms_mean"] = number("/mean_" theirs "_ms")
  M[ours "_ms_p50"] = first_of(number("/median_" theirs "_ms"), number("/p50_" theirs "_ms"))
  M[ours "_ms_p90"] = number("/p90_" theirs "_ms")
  M[ours "_ms_p95"] = number("/p95_" theirs "_ms")
  M[ours "_ms_p99"] = number("/p99_" theirs "_ms")
  M[ours "_ms_std"] = number("/std_" theirs "_ms")
}

function read_aiperf() {
  M["completed"] = number("/request_count/avg") # completed_request_count includes failed requests
  M["failed"] = first_of(number("/error_request_count/avg"), aiperf_errors())
  M["duration_s"] = number("/benchmark_duration/avg")
  M["input_tokens"] = number("/total_isl/avg")
  M["output_tokens"] = first_of(number("/total_osl/avg"), number("/total_output_tokens/avg"))
  M["requests_per_s"] = number("/request_throughput/avg")
  M["input_tokens_per_s"] = number("/input_token_throughput/avg")
  M["output_tokens_per_s"] = number("/output_token_throughput/avg")
  M["total_tokens_per_s"] = number("/total_token_throughput/avg")
  M["good_requests_per_s"] = number("/goodput/avg")
  read_aiperf_times("ttft", "time_to_first_token")
  read_aiperf_times("tpot", "inter_token_latency")
  read_aiperf_times("itl", "inter_chunk_latency")
  read_aiperf_times("e2e", "request_latency")
  if (KIND["/was_cancelled"] == "true") reject("aiperf was cancelled")
  else if (KIND["/is_complete"] == "false") reject("aiperf reports an incomplete run")
}

# The sum of the errors that aiperf lists, "" if it lists none.
function aiperf_errors(    i, sum) {
  if (KIND["/error_summary"] != "array") return ""
  for (i = 0; i < SIZE["/error_summary"]; i++) sum += number("/error_summary/" i "/count")
  return sum + 0
}

function read_aiperf_times(ours, theirs) {
  M[ours "_ms_mean"] = number("/" theirs "/avg")
  M[ours "_ms_p50"] = number("/" theirs "/p50")
  M[ours "_ms_p90"] = number("/" theirs "/p90")
  M[ours "_ms_p95"] = number("/" theirs "/p95")
  M[ours "_ms_p99"] = number("/" theirs "/p99")
  M[ours "_ms_std"] = number("/" theirs "/std")
}

# SGLang's evaluator: "score", or "mean_score" with several rounds; every other number is a separate score.
function read_sglang_eval(    p, key) {
  M["score"] = first_of(number("/mean_score"), number("/score"))
  M["duration_s"] = number("/latency")
  M["output_tokens_per_s"] = number("/output_throughput")
  for (p in KIND) {
    key = substr(p, 2)
    if (p ~ "^/[^/]+$" && key !~ /^(score|mean_score|latency|output_throughput)$/ && number(p) != "") SCORES[key] = number(p)
  }
  if (M["score"] == "") reject("the report has no score")
  else if (number("/chars") != "" && number("/chars") + 0 == 0) reject("the model returned no text")
  else if (M["score"] + 0 == 0 && number("/chars") == "" && M["output_tokens_per_s"] + 0 == 0) reject("the model returned no tokens")
}

# lm-eval: every metric of every task is a score; the main score is the preferred metric of the first group or task by name.
function read_lm_eval(    p, key, order, best, score) {
  for (p in KIND) {
    if (p !~ "^/results/[^/]+/[^/]+$" || number(p) == "" || p ~ /_stderr,|\/alias$|\/sample_len$/) continue
    key = substr(p, 10)
    SCORES[key] = number(p)
    order = sort_key(key)
    if (best == "" || order < best) {
      best = order
      score = key
    }
  }
  M["score"] = score == "" ? "" : SCORES[score]
  M["duration_s"] = first_of(number("/total_evaluation_time_seconds"), number_in_string("/total_evaluation_time_seconds"))
  if (score == "") reject("the report has no score")
  reject(find_empty_task())
}

# The sort key of a score, preferred scores first. A score is named TASK/METRIC,FILTER. Records in LOWER if lower is better.
function sort_key(key,    task, metric, filter) {
  task = metric = key
  sub(/\/.*/, "", task)
  sub(/^[^\/]*\//, "", metric)
  filter = metric
  sub(/,.*/, "", metric)
  if (!sub(/^[^,]*,/, "", filter)) filter = "none"
  if (KIND["/higher_is_better/" task "/" metric] == "false") LOWER[key] = 1
  return (("/groups/" task) in KIND ? 1 : 2) task "\t" ((key in LOWER) ? 2 : 1) \
    position(metric, "exact_match acc acc_norm prompt_level_strict_acc pass@1") position(filter, "none strict-match") key
}

# The position of a word in a list; unknown words come last, and "flexible-extract" after them.
function position(word, list,    words, n, i) {
  n = split(list, words, " ")
  for (i = 1; i <= n; i++) if (words[i] == word) return i
  return word == "flexible-extract" ? 9 : 8
}

# A number that is written as a string.
function number_in_string(pointer) {
  return KIND[pointer] == "string" && VALUE[pointer] ~ /^[0-9]+(\.[0-9]+)?$/ ? VALUE[pointer] : ""
}

# Why an lm-eval report is unusable: it must count its samples, and every task must have at least one.
function find_empty_task(    p, counts, empty) {
  for (p in KIND) {
    if (p !~ "^/n-samples/[^/]+/effective$" && ("/n-samples" in KIND || p !~ "^/results/[^/]+/sample_len$")) continue
    counts++
    if (number(p) + 0 <= 0 && (empty == "" || p < empty)) empty = p
  }
  if (!counts) return "the report has no sample counts"
  gsub(/^\/[^\/]*\/|\/[^\/]*$/, "", empty)
  return empty == "" ? "" : "no sample of " unescape(empty) " was evaluated"
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

# Why the result is unusable, "" if it is usable. If the server reports no token counts, SGLang's client counts the requested
# tokens as output, but it also counts the tokens of the text that it received.
function find_defect(    total, bound, text) {
  if (client ~ /-eval$/) return ""
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
  if (client ~ /-eval$/) return "score " M["score"]
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
  n = split("completed failed duration_s input_tokens output_tokens requests_per_s good_requests_per_s " \
    "input_tokens_per_s output_tokens_per_s total_tokens_per_s output_tokens_per_s_per_gpu total_tokens_per_s_per_gpu " \
    "output_tokens_per_s_per_decode_gpu tokens_per_s_per_user " time_keys("ttft") time_keys("tpot") time_keys("itl") time_keys("e2e") \
    "accept_length score", keys, " ")
  for (i = 1; i <= n; i++) text = text ",\"" keys[i] "\":" (M[keys[i]] == "" ? "null" : M[keys[i]])
  n = sorted_keys(SCORES, keys)
  text = text ",\"scores\":{"
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescape(keys[i] "")) ":" SCORES[keys[i]]
  n = sorted_keys(LOWER, keys)
  text = text "},\"lower_is_better\":["
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescape(keys[i] ""))
  return text "]}"
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
