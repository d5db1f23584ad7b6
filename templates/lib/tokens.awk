# Prints how many tokens came out, by a load generator's report that json.awk has read; nothing if it does not say.
#
# sglang, vllm, trtllm: "total_output_tokens". aiperf: the same or "total_osl", with the number below "avg".

END {
  if (!VALID) exit
  for (i = split("/total_osl/avg /total_output_tokens/avg /total_output_tokens", pointers, " "); i > 0; i--) {
    if (KIND[pointers[i]] == "number") {
      print int(VALUE[pointers[i]])
      exit
    }
  }
}
