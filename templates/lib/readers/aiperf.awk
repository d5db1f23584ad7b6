# aiperf's profile_export_aiperf.json.
function read_report() {
  M["completed"] = number("/request_count/avg") # completed_request_count has the failed ones, too
  M["failed"] = first_of(number("/error_request_count/avg"), aiperf_errors())
  M["duration_s"] = number("/benchmark_duration/avg")
  M["input_tokens"] = number("/total_isl/avg")
  M["output_tokens"] = first_of(number("/total_osl/avg"), number("/total_output_tokens/avg"))
  M["requests_per_s"] = number("/request_throughput/avg")
  M["input_tokens_per_s"] = number("/input_token_throughput/avg")
  M["output_tokens_per_s"] = number("/output_token_throughput/avg")
  M["total_tokens_per_s"] = number("/total_token_throughput/avg")
  M["good_requests_per_s"] = number("/goodput/avg")
  aiperf_times("ttft", "time_to_first_token")
  aiperf_times("tpot", "inter_token_latency")
  aiperf_times("itl", "inter_chunk_latency")
  aiperf_times("e2e", "request_latency")
  if (KIND["/was_cancelled"] == "true") reject("aiperf was cancelled")
  else if (KIND["/is_complete"] == "false") reject("aiperf reports an incomplete run")
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
