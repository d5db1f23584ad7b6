# One run of a benchmark as a record of summary.json, made of the client's report that json.awk has read.
#
# In, by the environment: RECORD_NAME, _CLIENT, _RESULT, _FACTS (members of a JSON object), _CODE, _REASON, _TRIES,
# _BEGAN (Unix time), _SECONDS, _GPUS, _DECODE_GPUS, _MAX_FAILED_SHARE. Out: a line "ok TEXT" or "bad TEXT", then the record in one line.
#
# A number of the client is copied as it is written; units are in the names; what is not known is null.
#
# An element of an array is passed to a function as `M["x"] ""`: gawk 5.3.2 ends with an internal error if nothing was assigned
# to it before ("fixtype: expected Node_val, got Node_elem_new").

END {
  client = ENVIRON["RECORD_CLIENT"]
  reason = ENVIRON["RECORD_REASON"]
  if (client != "" && VALID) {
    if (client == "aiperf") read_aiperf()
    else if (client == "sglang-eval") read_evaluator()
    else if (client == "lm-eval") read_harness()
    else read_ladder()
    derive()
    complain(judge())
  } else if (client != "") {
    complain("the report is no JSON")
  }
  print (reason == "" ? "ok " said() : "bad " reason)
  print record()
}

# The first reason counts.
function complain(why) {
  if (reason == "") reason = why
}

# The number at a pointer as it is written; "" for anything else, for NaN and Infinity, which JSON does not know, and for
# one beyond all numbers, such as 1e999.
function number(pointer) {
  return KIND[pointer] == "number" && VALUE[pointer] ~ /[0-9]/ && figure(VALUE[pointer] + 0) != "" ? VALUE[pointer] : ""
}

function first(a, b) {
  return a != "" ? a : b
}

# sglang.bench_serving, vllm bench serve, TensorRT-LLM's benchmark_serving.
function read_ladder() {
  M["completed"] = number("/completed")
  M["failed"] = number("/failed")
  requests = sent()
  M["duration_s"] = number("/duration")
  M["input_tokens"] = number("/total_input_tokens")
  M["output_tokens"] = number("/total_output_tokens")
  M["requests_per_s"] = number("/request_throughput")
  M["input_tokens_per_s"] = number("/input_throughput")
  M["output_tokens_per_s"] = number("/output_throughput")
  M["total_tokens_per_s"] = first(number("/total_token_throughput"), number("/total_throughput"))
  M["good_requests_per_s"] = first(number("/request_goodput"), number("/request_goodput:")) # so in TensorRT-LLM's
  M["accept_length"] = first(number("/accept_length"), number("/spec_decode_acceptance_length"))
  ladder_times("ttft", "ttft")
  ladder_times("tpot", "tpot")
  ladder_times("itl", "itl")
  ladder_times("e2e", KIND["/mean_e2e_latency_ms"] == "number" ? "e2e_latency" : "e2el")
}

# How many requests were sent, "" if nobody says: a client may send no more than its data set has rows. SGLang's and
# vLLM's tell every prompt's length with their details ("sent" is their number in a large report); vLLM's repeats rows.
function sent() {
  if (KIND["/input_lens"] == "array") return SIZE["/input_lens"]
  if (number("/sent") != "") return number("/sent")
  if (client != "vllm" && index(ENVIRON["RECORD_FACTS"], "\"dataset\":\"")) return ""
  return first(number("/num_prompts"), fact("requests"))
}

function ladder_times(ours, theirs) {
  M[ours "_ms_mean"] = number("/mean_" theirs "_ms")
  M[ours "_ms_p50"] = first(number("/median_" theirs "_ms"), number("/p50_" theirs "_ms"))
  M[ours "_ms_p90"] = number("/p90_" theirs "_ms")
  M[ours "_ms_p95"] = number("/p95_" theirs "_ms")
  M[ours "_ms_p99"] = number("/p99_" theirs "_ms")
  M[ours "_ms_std"] = number("/std_" theirs "_ms")
}

function read_aiperf() {
  M["completed"] = number("/request_count/avg") # completed_request_count has the failed ones, too
  M["failed"] = first(number("/error_request_count/avg"), aiperf_errors())
  M["duration_s"] = number("/benchmark_duration/avg")
  M["input_tokens"] = number("/total_isl/avg")
  M["output_tokens"] = first(number("/total_osl/avg"), number("/total_output_tokens/avg"))
  M["requests_per_s"] = number("/request_throughput/avg")
  M["input_tokens_per_s"] = number("/input_token_throughput/avg")
  M["output_tokens_per_s"] = number("/output_token_throughput/avg")
  M["total_tokens_per_s"] = number("/total_token_throughput/avg")
  M["good_requests_per_s"] = number("/goodput/avg")
  aiperf_times("ttft", "time_to_first_token")
  aiperf_times("tpot", "inter_token_latency")
  aiperf_times("itl", "inter_chunk_latency")
  aiperf_times("e2e", "request_latency")
  if (KIND["/was_cancelled"] == "true") complain("aiperf was cancelled")
  else if (KIND["/is_complete"] == "false") complain("aiperf says that its run is not complete")
}

# Errors that aiperf lists, with how often each came.
function aiperf_errors(    i, sum) {
  if (KIND["/error_summary"] != "array") return ""
  for (i = 0; i < SIZE["/error_summary"]; i++) sum += number("/error_summary/" i "/count")
  return sum + 0
}

function aiperf_times(ours, theirs) {
  M[ours "_ms_mean"] = number("/" theirs "/avg")
  M[ours "_ms_p50"] = number("/" theirs "/p50")
  M[ours "_ms_p90"] = number("/" theirs "/p90")
  M[ours "_ms_p95"] = number("/" theirs "/p95")
  M[ours "_ms_p99"] = number("/" theirs "/p99")
  M[ours "_ms_std"] = number("/" theirs "/std")
}

# SGLang's evaluator: "score", or "mean_score" of several rounds; every other number is a score of its own.
function read_evaluator(    p, key) {
  M["score"] = first(number("/mean_score"), number("/score"))
  M["duration_s"] = number("/latency")
  M["output_tokens_per_s"] = number("/output_throughput")
  for (p in KIND) {
    key = substr(p, 2)
    if (p ~ "^/[^/]+$" && key !~ /^(score|mean_score|latency|output_throughput)$/ && number(p) != "") SCORES[key] = number(p)
  }
  if (M["score"] == "") complain("the report has no score")
  else if (number("/chars") != "" && number("/chars") + 0 == 0) complain("the model answered nothing")
  else if (M["score"] + 0 == 0 && number("/chars") == "" && M["output_tokens_per_s"] + 0 == 0) complain("no answer had tokens")
}

# lm-eval: every metric of every task; the score is the most telling one of the first group or task, by name.
function read_harness(    p, key, order, best, score) {
  for (p in KIND) {
    if (p !~ "^/results/[^/]+/[^/]+$" || number(p) == "" || p ~ /_stderr,|\/alias$|\/sample_len$/) continue
    key = substr(p, 10)
    SCORES[key] = number(p)
    order = telling(key)
    if (best == "" || order < best) {
      best = order
      score = key
    }
  }
  M["score"] = score == "" ? "" : SCORES[score]
  M["duration_s"] = first(number("/total_evaluation_time_seconds"), digits("/total_evaluation_time_seconds"))
  if (score == "") complain("the report has no score")
  complain(unanswered())
}

# A text by which scores sort, the most telling first. A key is TASK/METRIC,FILTER; what is better lower is noted.
function telling(key,    task, metric, filter) {
  task = metric = key
  sub(/\/.*/, "", task)
  sub(/^[^\/]*\//, "", metric)
  filter = metric
  sub(/,.*/, "", metric)
  if (!sub(/^[^,]*,/, "", filter)) filter = "none"
  if (KIND["/higher_is_better/" task "/" metric] == "false") LOWER[key] = 1
  return (("/groups/" task) in KIND ? 1 : 2) task "\t" ((key in LOWER) ? 2 : 1) \
    place(metric, "exact_match acc acc_norm prompt_level_strict_acc pass@1") place(filter, "none strict-match") key
}

# Where a word stands in a list, the last place for one that does not; flexible-extract comes after all others.
function place(word, list,    words, n, i) {
  n = split(list, words, " ")
  for (i = 1; i <= n; i++) if (words[i] == word) return i
  return word == "flexible-extract" ? 9 : 8
}

# A number that is written as a text.
function digits(pointer) {
  return KIND[pointer] == "string" && VALUE[pointer] ~ /^[0-9]+(\.[0-9]+)?$/ ? VALUE[pointer] : ""
}

# Why lm-eval's report is of nothing: it must count its samples, of every task some.
function unanswered(    p, counts, empty) {
  for (p in KIND) {
    if (p !~ "^/n-samples/[^/]+/effective$" && ("/n-samples" in KIND || p !~ "^/results/[^/]+/sample_len$")) continue
    counts++
    if (number(p) + 0 <= 0 && (empty == "" || p < empty)) empty = p
  }
  if (!counts) return "the report counts no samples"
  gsub(/^\/[^\/]*\/|\/[^\/]*$/, "", empty)
  return empty == "" ? "" : "no sample of " unescaped(empty) " was evaluated"
}

# What follows from other figures.
function derive(    rate) {
  if (M["failed"] == "" && requests != "" && M["completed"] != "" && requests + 0 >= M["completed"] + 0) {
    M["failed"] = figure(requests - M["completed"])
  }
  per_second("requests_per_s", "completed")
  per_second("input_tokens_per_s", "input_tokens")
  per_second("output_tokens_per_s", "output_tokens")
  if (M["total_tokens_per_s"] == "" && M["input_tokens_per_s"] != "" && M["output_tokens_per_s"] != "") {
    M["total_tokens_per_s"] = figure(M["input_tokens_per_s"] + M["output_tokens_per_s"])
  }
  share("output_tokens_per_s_per_gpu", M["output_tokens_per_s"] "", ENVIRON["RECORD_GPUS"] "")
  share("total_tokens_per_s_per_gpu", M["total_tokens_per_s"] "", ENVIRON["RECORD_GPUS"] "")
  share("output_tokens_per_s_per_decode_gpu", M["output_tokens_per_s"] "", ENVIRON["RECORD_DECODE_GPUS"] "")
  share("tokens_per_s_per_user", 1000, M["tpot_ms_p50"] "")
}

function per_second(name, count) {
  if (M[name] == "" && M[count] != "") share(name, M[count] "", M["duration_s"] "")
}

function share(name, what, parts) {
  if (what != "" && parts != "" && parts + 0 > 0) M[name] = figure(what / parts)
}

# A number as text; "" for one that is beyond all numbers.
function figure(value,    text) {
  text = sprintf("%.10g", value)
  return text ~ /[0-9]/ ? text : ""
}

# Why the run is no result; "" if it is one. SGLang's client counts as output what it has asked for, where the server
# says nothing, but it also counts the tokens of the text that came.
function judge(    total, bound, text) {
  if (client ~ /-eval$/) return ""
  text = number("/total_output_tokens_retokenized")
  if (M["output_tokens"] == "" || M["output_tokens"] + 0 <= 0) return "no output tokens"
  if (text != "" && text + 0 <= 0) return "no text came back, whatever number of tokens the report says"
  if (M["completed"] != "" && M["completed"] + 0 <= 0) return "no request was completed"
  if (M["failed"] + 0 < 0) return "the report counts less than no failed requests"
  total = M["completed"] + M["failed"]
  bound = ENVIRON["RECORD_MAX_FAILED_SHARE"]
  if (bound != "" && total > 0 && M["failed"] + 0 > bound * total) {
    return sprintf("%.0f of %.0f requests failed, more than %g %%", M["failed"], total, bound * 100)
  }
  if (M["completed"] == "") return "the report does not say how many requests were completed"
  if (M["duration_s"] == "" || M["duration_s"] + 0 <= 0) return "the report has no duration"
  if (M["ttft_ms_mean"] == "" && M["ttft_ms_p50"] == "") return "the report has no time to the first token"
  if (M["ttft_ms_mean"] + 0 <= 0 && M["ttft_ms_p50"] + 0 <= 0) return "no first token came: its time is 0"
  return ""
}

# The run in a few words, for the log.
function said() {
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
    "output_tokens_per_s_per_decode_gpu tokens_per_s_per_user " times("ttft") times("tpot") times("itl") times("e2e") \
    "accept_length score", keys, " ")
  for (i = 1; i <= n; i++) text = text ",\"" keys[i] "\":" (M[keys[i]] == "" ? "null" : M[keys[i]])
  n = sorted(SCORES, keys)
  text = text ",\"scores\":{"
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescaped(keys[i] "")) ":" SCORES[keys[i]]
  n = sorted(LOWER, keys)
  text = text "},\"lower_is_better\":["
  for (i = 1; i <= n; i++) text = text (i > 1 ? "," : "") json_text(unescaped(keys[i] ""))
  return text "]}"
}

function times(name) {
  name = name "_ms_"
  return name "mean " name "p50 " name "p90 " name "p95 " name "p99 " name "std "
}

# Puts the names of a table into a list by their order; answers how many there are.
function sorted(table, names,    key, n, j, swap) {
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

# A pointer's part as the key that it stands for.
function unescaped(part) {
  gsub(/~1/, "/", part)
  gsub(/~0/, "~", part)
  return part
}

# A number among the facts.
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
