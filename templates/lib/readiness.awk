# Prints the number of ready instances, "PREFILL DECODE", in an answer that json.awk has parsed.
#
# probe=dynamo_health    GET /health: a worker registers several endpoints; only "generate" counts
# probe=sglang_workers   GET /workers: counts of the router; aggregated workers are "regular"

END {
  if (VALID && probe == "dynamo_health" && KIND["/instances"] == "array") {
    for (i = 0; i < SIZE["/instances"]; i++) {
      if (VALUE["/instances/" i "/endpoint"] != "generate") continue
      component = VALUE["/instances/" i "/component"]
      if (component == "prefill") prefill++
      if (component ~ /^(decode|backend|tensorrt_llm)$/) decode++
    }
    print prefill + 0, decode + 0
  } else if (VALID && probe == "sglang_workers" && KIND["/stats"] == "object") {
    print VALUE["/stats/prefill_count"] + 0, VALUE["/stats/decode_count"] + VALUE["/stats/regular_count"]
  }
}
