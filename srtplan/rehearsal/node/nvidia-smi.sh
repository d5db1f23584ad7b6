# shellcheck shell=sh
# nvidia-smi: the GPUs that this step sees.
wanted=""
for word in "$@"; do
  case "${word}" in
    --query-gpu=*) wanted="${word#*=}" ;;
    *) ;;
  esac
done
set -f
IFS=,
# shellcheck disable=SC2086 # to be split
set -- ${CUDA_VISIBLE_DEVICES-}
for gpu in "$@"; do
  if [ -z "${wanted}" ]; then
    printf 'GPU %s: NVIDIA Simulated GPU (UUID: GPU-00000000-0000-0000-0000-%012d)\n' "${gpu}" "${gpu}"
    continue
  fi
  line=""
  for field in ${wanted}; do
    case "${field}" in
      name) value="NVIDIA Simulated GPU" ;;
      memory.total) value=143771 ;;
      *) value="${gpu}" ;;
    esac
    line="${line:+${line}, }${value}"
  done
  printf '%s\n' "${line}"
done
