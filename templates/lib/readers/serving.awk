# sglang.bench_serving, vllm bench serve, TensorRT-LLM's benchmark_serving.
function read_report() {
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
  M["good_requests_per_s"] = first_of(number("/request_goodput"), number("/request_goodput:")) # so in TensorRT-LLM's
  M["accept_length"] = first_of(number("/accept_length"), number("/spec_decode_acceptance_length"))
  ladder_times("ttft", "ttft")
  ladder_times("tpot", "tpot")
  ladder_times("itl", "itl")
  ladder_times("e2e", KIND["/mean_e2e_latency_ms"] == "number" ? "e2e_latency" : "e2el")
}

# How many requests were sent, "" if nobody says: a client may send no more than its data set has rows. SGLang's and
# vLLM's tell every prompt's length with their details ("sent" is their number in a large report); vLLM's repeats rows.
function requests_sent() {
  if (KIND["/input_lens"] == "array") return SIZE["/input_lens"]
  if (number("/sent") != "") return number("/sent")
  if (client != "vllm" && index(ENVIRON["RECORD_FACTS"], "\"dataset\":\"")) return ""
  return first_of(number("/num_prompts"), fact("requests"))
}

function ladder_times(ours, theirs) {
  M[ours "_ms_mean"] = number("/mean_" theirs "_ms")
  M[ours "_ms_p50"] = first_of(number("/median_" theirs "_ms"), number("/p50_" theirs "_ms"))
  M[ours "_ms_p90"] = number("/p90_" theirs "_ms")
  M[ours "_ms_p95"] = number("/p95_" theirs "_ms")
  M[ours "_ms_p99"] = number("/p99_" theirs "_ms")
  M[ours "_ms_std"] = number("/std_" theirs "_ms")
}
