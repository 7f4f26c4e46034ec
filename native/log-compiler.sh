# Runs a compiler and keeps what it says beside the object that it writes, in <object>.log: ptxas tells of registers and
# spills there, also when the object comes from a cache.
object=
previous=
for word do
  [ "$previous" = -o ] && object=$word
  previous=$word
done
[ -n "$object" ] || exec "$@"
"$@" >"$object.log" 2>&1
status=$?
cat "$object.log" >&2
exit $status
