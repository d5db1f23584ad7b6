# shellcheck shell=sh disable=SC2154 # the stub above this text sets STATE
# hostname: the name of the simulated node, or its address.
case " $* " in
  *" -I "* | *" -i "* | *" --all-ip-addresses "* | *" --ip-address "*)
    printf '%s\n' "${SRT_NODE_ADDRESS}"
    exit
    ;;
  *) ;;
esac
while read -r name address _; do
  if [ "${address}" = "${SRT_NODE_ADDRESS}" ]; then
    printf '%s\n' "${name}"
  fi
done <"${STATE}/hosts"
