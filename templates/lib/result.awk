# Says what a report that json.awk has read holds, in a few words; nothing if the run was no success.
#
# client=sglang, vllm, trtllm   "total_output_tokens" of a load generator: some must have come out
# client=aiperf                 the same, or "total_osl", with the number below "avg"
# client=sglang-eval            the numbers of SGLang's evaluator, "score" among them
# client=lm-eval                "results" by task

END {
  if (!VALID) exit
  if (client == "sglang-eval") {
    if (KIND["/score"] == "number") print "score", VALUE["/score"]
  } else if (client == "lm-eval") {
    if (KIND["/results"] == "object" && SIZE["/results"]) print SIZE["/results"], "tasks"
  } else {
    n = split("/total_output_tokens /total_output_tokens/avg /total_osl/avg", pointers, " ")
    for (i = 1; i <= n; i++) {
      if (KIND[pointers[i]] == "number" && VALUE[pointers[i]] > 0) {
        printf "%d output tokens\n", VALUE[pointers[i]]
        exit
      }
    }
  }
}
