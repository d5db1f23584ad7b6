/* A stand-in for trtllm-llmapi-launch that connects to its peers through PMIx.
 *
 * Every rank publishes its host, fences, reads the hosts of all other ranks, and writes them to the file
 * $RANKS/<rank>. Then rank 0 executes the given command, and the other ranks wait for the signal to end.
 */
#include <pmix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(call) must(call, #call)

static void must(pmix_status_t status, const char *what) {
  if (status != PMIX_SUCCESS) {
    fprintf(stderr, "%s: %s\n", what, PMIx_Error_string(status));
    exit(9);
  }
}

static void over(int number) {
  (void)number;
  _exit(0);
}

int main(int argc, char **argv) {
  pmix_proc_t me, all;
  pmix_value_t value, *found;
  pmix_info_t info;
  bool collect = true;
  char host[256], path[4096];
  (void)argc;

  signal(SIGTERM, over);
  MUST(PMIx_Init(&me, NULL, 0));
  PMIX_PROC_CONSTRUCT(&all);
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  MUST(PMIx_Get(&all, PMIX_JOB_SIZE, NULL, 0, &found));
  const unsigned size = found->data.uint32;

  gethostname(host, sizeof host);
  value.type = PMIX_STRING;
  value.data.string = host;
  MUST(PMIx_Put(PMIX_GLOBAL, "srt.host", &value));
  MUST(PMIx_Commit());
  PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
  MUST(PMIx_Fence(&all, 1, &info, 1));

  snprintf(path, sizeof path, "%s/%u", getenv("RANKS"), me.rank);
  FILE *out = fopen(path, "w");
  if (out == NULL) return 8;
  fprintf(out, "%u %u %s %s", me.rank, size, getenv("SLURM_PROCID"), getenv("PMIX_RANK"));
  for (unsigned rank = 0; rank < size; rank++) {
    pmix_proc_t peer;
    PMIX_LOAD_PROCID(&peer, me.nspace, rank);
    MUST(PMIx_Get(&peer, "srt.host", NULL, 0, &found));
    fprintf(out, " %s", found->data.string);
  }
  fclose(out);
  MUST(PMIx_Finalize(NULL, 0));
  if (me.rank == 0) {
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
  }
  for (;;) pause();
}
