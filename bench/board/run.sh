#!/bin/sh
# Times every network in this folder, with one thread and with as many as the board has cores, and writes record.txt.
# It takes about two minutes; nothing else should run meanwhile. It needs a shell and writes nothing else.
cd "$(dirname "$0")" || exit 1
record=record.txt
told() { # the first line of a file, or ?
  head -n 1 "$1" 2>/dev/null | tr -d '\000' || true
}
{
  echo "sparsecc-board 1"
  echo "board $(told /proc/device-tree/model)"
  echo "kernel $(uname -srm)"
  echo "bits $(getconf LONG_BIT)"
  echo "governor $(told /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor)"
  echo "khz $(told /sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq)"
  echo "millidegrees $(told /sys/class/thermal/thermal_zone0/temp)"
} >"$record" || exit 1
cores=$(getconf _NPROCESSORS_ONLN)
for program in programs/*; do
  for threads in 1 $cores; do
    echo "$program, $threads threads" >&2
    echo "program ${program#programs/} $threads" >>"$record"
    "$program" --threads "$threads" --runs 15 --lines 1 >>"$record" || { echo "failed" >>"$record"; }
    [ "$cores" = 1 ] && break
  done
done
echo "millidegrees $(told /sys/class/thermal/thermal_zone0/temp)" >>"$record"
command -v vcgencmd >/dev/null && echo "throttled $(vcgencmd get_throttled)" >>"$record"
echo "end" >>"$record"
echo "wrote $record: please send it, with the version in README.txt" >&2
