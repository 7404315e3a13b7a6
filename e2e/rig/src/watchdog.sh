# Outlives the test process, whose end closes this standard input: then everything that it had started is killed, the
# youngest first, and its folders are removed.
trap '' INT TERM HUP
pids=() folders=()
while read -r verb what; do
  case $verb in
    guard) pids=("$what" "${pids[@]}") ;;
    release) kept=(); for pid in "${pids[@]}"; do [ "$pid" = "$what" ] || kept+=("$pid"); done; pids=("${kept[@]}") ;;
    folder) folders+=("$what") ;;
  esac
done
for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
# A killed process may still write until the kernel is done with it.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ "${#folders[@]}" = 0 ] || rm -rf -- "${folders[@]}" 2>/dev/null && break
  sleep 0.1
done
